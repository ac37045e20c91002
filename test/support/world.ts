/** All a test on the real claude needs, in one: the mock API, a home, a running server, and their end. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ClaudeHome, createClaudeHome, type HomeOptions } from "./claude-home.ts";
import { type MockAnthropic, startMockAnthropic } from "./mock-anthropic.ts";
import { REAL_CLAUDE, startServer, type TestServer } from "./server.ts";

export interface World extends AsyncDisposable {
  readonly mock: MockAnthropic;
  readonly claude: ClaudeHome;
  readonly server: TestServer;
  /** What the server was started with, for one that takes its place. */
  readonly serverEnv: Record<string, string>;
}

export interface WorldOptions extends Omit<HomeOptions, "api"> {
  /** Settings and variables of the server. */
  readonly env?: Record<string, string>;
  /** The stand-in answers instead of the real claude. */
  readonly standIn?: boolean;
  /** How the server is started, if not as usual. */
  readonly program?: readonly string[];
  /** Puts things in place before the server starts. */
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

/** The stand-in as a program that can be started by its path; like Claude Code it ignores a bunfig.toml. */
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
