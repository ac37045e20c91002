/** Starts the processes of one server: chooses the engine, gives each process a folder, and watches for rivals. */
import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import type { Paths } from "../../config/paths.ts";
import type { Config } from "../../config/schema.ts";
import { type Clock, systemClock } from "../../core/clock.ts";
import type { AgentProcess, ProcessOwner } from "../agent-process.ts";
import { BootFailure } from "../boot-failure.ts";
import { denyRules } from "../deny-rules.ts";
import { chooseEngine } from "../engine.ts";
import { InteractiveProcess } from "../interactive/process.ts";
import { ProcessTokens } from "../interactive/process-tokens.ts";
import { type SpawnPty, spawnInPty } from "../interactive/pty.ts";
import type { LaunchSpec } from "../launch-spec.ts";
import type { ManagedSettings } from "../managed-settings.ts";
import { SessionFolder } from "../session-file.ts";
import { StreamProcess } from "../stream/process.ts";

const log = getLogger(["synthesis", "pool"]);

/** How long a refused channel keeps `auto` on stream-json before it tries the channel again. */
const REFUSAL_MS = 60 * 60_000;

export interface Launcher {
  /** @throws RequestError when the process cannot be started at all */
  start(spec: LaunchSpec, owner: ProcessOwner): AgentProcess;
  /** The interactive processes by their tokens. */
  readonly tokens: ProcessTokens;
  /** The process id of another `claude` that has this Claude session open; null when there is none. */
  findRival(claudeSession: string): Promise<number | null>;
  /** Stops watching the session files, because the server stops. */
  close(): void;
}

export interface LauncherOptions {
  readonly config: Config;
  readonly paths: Paths;
  /** The port the server listens on. */
  readonly port: () => number;
  readonly managed: ManagedSettings;
  /** The command that starts this program again, for the plugin: its executable and first arguments. */
  readonly program: readonly string[];
  readonly env: Record<string, string | undefined>;
  readonly clock?: Clock;
  readonly spawn?: SpawnPty;
}

export function createLauncher({
  paths,
  port,
  clock = systemClock,
  spawn = spawnInPty,
  ...options
}: LauncherOptions): Launcher {
  const deny = denyRules(paths);
  const sessionFolder = new SessionFolder(options.env);
  const tokens = new ProcessTokens();
  /** Why Claude Code last refused its channel, and until when that counts, in ms of the monotonic clock. */
  let refusal: { readonly why: string; readonly until: number } | null = null;
  return {
    start: (spec, owner) => {
      const folder = join(paths.run, crypto.randomUUID());
      const { config, managed, env } = options;
      const refused = refusal !== null && clock.now() < refusal.until ? refusal.why : null;
      const { engine, why } = chooseEngine(config, spec.choice.workspace, managed, env, refused);
      log.debug("engine chosen: {engine}, because {why}", { session: spec.sessionKey, engine, why });
      if (engine === "stream")
        return new StreamProcess(spec, owner, { config, env, folder, deny, sessionFolder, clock });
      const context = { ...options, port: port(), folder, deny, sessionFolder, clock, spawn };
      const process = new InteractiveProcess(spec, owner, context);
      tokens.add(process);
      process.ready.catch((error) => {
        if (!(error instanceof BootFailure) || error.reason !== "channel_refused") return;
        refusal = { why: error.summary, until: clock.now() + REFUSAL_MS };
      });
      return process;
    },
    tokens,
    findRival: (claudeSession) => sessionFolder.findRival(claudeSession),
    close: () => sessionFolder.close(),
  };
}
