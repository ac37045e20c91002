/** Everything a test on the real claude needs: the mock API, a home for claude, and a running server. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ClaudeHome, createClaudeHome, type HomeOptions } from "./claude-home.ts";
import { type MockAnthropic, startMockAnthropic } from "./mock-anthropic.ts";
import { REAL_CLAUDE, startServer, type TestServer } from "./server.ts";

export interface World extends AsyncDisposable {
  readonly mock: MockAnthropic;
  readonly claude: ClaudeHome;
  readonly server: TestServer;
  /** The environment of the server, to start another one on the same state folder. */
  readonly serverEnv: Record<string, string>;
}

export interface WorldOptions extends Omit<HomeOptions, "api"> {
  /** Settings and other variables of the server, which override the usual ones. */
  readonly env?: Record<string, string>;
  /** Uses the stand-in for the real claude. */
  readonly standIn?: boolean;
  /** Another way to start the server. */
  readonly program?: readonly string[];
  /** Writes files before the server starts. */
  readonly prepare?: (claude: ClaudeHome) => void;
}

export async function createWorld({
  env = {},
  standIn = false,
  prepare,
  program,
  ...home
}: WorldOptions = {}): Promise<World> {
  const mock = startMockAnthropic();
  const claude = createClaudeHome({ api: mock.url, ...home });
  prepare?.(claude);
  const serverEnv = {
    ...claude.env,
    SYNTHESIS_HOME: join(claude.base, "state"),
    SYNTHESIS_WORKSPACE: claude.workspace,
    SYNTHESIS_ENGINE: process.env.TEST_ENGINE ?? "interactive",
    SYNTHESIS_CLAUDE_BIN: standIn ? standInClaude(claude.base) : REAL_CLAUDE,
    ...env,
  };
  const server = await startServer(serverEnv, program);
  return {
    mock,
    claude,
    server,
    serverEnv,
    [Symbol.asyncDispose]: async () => {
      await server.stop();
      await mock.stop();
      claude.remove();
    },
  };
}

/** Writes a program that runs the stand-in. Like Claude Code it reads no bunfig.toml. @returns its path */
export function standInClaude(folder: string): string {
  const path = join(folder, "claude");
  const script = join(import.meta.dir, "stand-in-claude.ts");
  writeFileSync(
    path,
    `#!/bin/sh\nexec '${process.execPath}' --config=/dev/null --no-env-file --tsconfig-override=/dev/null '${script}' "$@"\n`,
    {
      mode: 0o755,
    },
  );
  return path;
}
