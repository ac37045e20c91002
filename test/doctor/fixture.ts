/** A user of this machine in a temporary folder: a home for Claude Code, a state folder and a configuration. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createEngines, type Engines } from "../../src/claude/engines.ts";
import { readManagedSettings } from "../../src/claude/managed-settings.ts";
import { loadConfig } from "../../src/config/load.ts";
import { type Paths, pathsFor } from "../../src/config/paths.ts";
import type { Config } from "../../src/config/schema.ts";
import { PLUGIN_NAME } from "../../src/plugin/manifest.ts";
import { acquireLock } from "../../src/store/lock.ts";
import { createClaudeHome, type HomeOptions } from "../support/claude-home.ts";
import { REAL_CLAUDE } from "../support/server.ts";

export interface Fixture extends Disposable {
  /** The folder that contains everything below. */
  readonly base: string;
  readonly workspace: string;
  readonly paths: Paths;
  readonly env: Record<string, string>;
  /** The configuration that a server would have, with these settings changed. */
  config(settings?: Partial<Config>): Config;
  /** The engines that a server would choose with this configuration. */
  engines(config: Config): Engines;
  /** Writes a file that is named by its path below `base`. @returns its path */
  write(path: string, content: string, mode?: number): string;
}

/** @param env added to the environment */
export function createFixture({ env, ...home }: Omit<HomeOptions, "api"> & { env?: Record<string, string> } = {}) {
  const claude = createClaudeHome({ api: "http://127.0.0.1:9", ...home });
  const paths = pathsFor(join(claude.base, "state"));
  mkdirSync(paths.home, { mode: 0o700 });
  const { base, workspace } = claude;
  const wholeEnv: Record<string, string> = {
    ...claude.env,
    SYNTHESIS_HOME: paths.home,
    SYNTHESIS_WORKSPACE: workspace,
    SYNTHESIS_CLAUDE_BIN: REAL_CLAUDE,
    SYNTHESIS_ENGINE: "interactive",
    SYNTHESIS_BRIDGE_PORT: "0",
    ...env,
  };
  return {
    base,
    workspace,
    paths,
    env: wholeEnv,
    config: (settings = {}) => ({ ...loadConfig(paths, wholeEnv, {}), ...settings }),
    engines: (config) => createEngines({ config, paths, managed: readManagedSettings(PLUGIN_NAME), env: wholeEnv }),
    write: (path, content, mode = 0o600) => {
      const file = join(base, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content, { mode });
      return file;
    },
    [Symbol.dispose]: () => claude.remove(),
  } satisfies Fixture as Fixture;
}

/** Runs checks beside a server of this fixture that reports this health. */
export async function besideServer<T>(
  { paths }: Fixture,
  health: object,
  checks: (paths: Paths) => Promise<T>,
): Promise<T> {
  using server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => Response.json(health) });
  const taken = acquireLock(paths.lock);
  if (!("lock" in taken)) throw new Error("the lock is held");
  taken.lock.announce(server.port ?? 0);
  const found = await checks(paths);
  taken.lock.release();
  return found;
}
