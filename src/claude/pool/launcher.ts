/** Starts the processes of one server: chooses the engine, gives each process a folder, and watches for rivals. */
import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import type { Paths } from "../../config/paths.ts";
import type { Config } from "../../config/schema.ts";
import { unnamedConfig } from "../../config/unnamed.ts";
import { type Clock, systemClock } from "../../core/clock.ts";
import type { MessageCounts } from "../../core/message-counts.ts";
import { ALL_CLAUDE_TOOLS } from "../../core/tools.ts";
import type { AccountLimits } from "../../limits/account.ts";
import { type AgentProcess, type Engine, NO_OWNER, type ProcessOwner } from "../agent-process.ts";
import { BootFailure } from "../boot-failure.ts";
import { denyRules } from "../deny-rules.ts";
import type { Engines } from "../engines.ts";
import { InteractiveProcess } from "../interactive/process.ts";
import { ProcessTokens } from "../interactive/process-tokens.ts";
import { type SpawnPty, spawnInPty } from "../interactive/pty.ts";
import type { LaunchSpec } from "../launch-spec.ts";
import type { ManagedSettings } from "../managed-settings.ts";
import { SessionFolder } from "../session-file.ts";
import { StreamProcess } from "../stream/process.ts";
import { SettingsReports } from "../stream/settings-reports.ts";
import { ChannelProbe } from "./channel-probe.ts";

const log = getLogger(["synthesis", "pool"]);

export interface Launcher {
  /** @throws RequestError when the process cannot be started at all */
  start(spec: LaunchSpec, owner: ProcessOwner): AgentProcess;
  /** The interactive processes by their tokens. */
  readonly tokens: ProcessTokens;
  /** The process id of another `claude` that has this Claude session open; null when there is none. */
  findRival(claudeSession: string): Promise<number | null>;
  /** The engine that a process with this spec would have now. */
  engineFor(spec: Pick<LaunchSpec, "engine" | "choice">): Engine;
  /** Finds out in the background whether Claude Code accepts the channel, if that is unknown and decides the engine. */
  probeChannel(): void;
  /** Stops what runs beside the processes, because the server stops. Resolves when it has ended. */
  close(): Promise<void>;
}

export interface LauncherOptions {
  readonly config: Config;
  readonly paths: Paths;
  /** The port the server listens on. */
  readonly port: () => number;
  readonly managed: ManagedSettings;
  readonly engines: Engines;
  readonly limits: AccountLimits;
  /** Counts what stream processes send. */
  readonly messages?: MessageCounts;
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
  const { config, env, engines, limits, messages } = options;
  const reports = new SettingsReports(config, env, clock);

  /** How many processes are starting in a terminal. */
  let starting = 0;

  function startInteractive(spec: LaunchSpec, owner: ProcessOwner): InteractiveProcess {
    const folder = join(paths.run, crypto.randomUUID());
    const process = new InteractiveProcess(spec, owner, {
      ...options,
      port: port(),
      folder,
      deny,
      sessionFolder,
      clock,
      spawn,
    });
    tokens.add(process);
    starting += 1;
    process.ready.then(
      () => {
        starting -= 1;
        engines.noteChannel(null);
      },
      (error) => {
        starting -= 1;
        if (error instanceof BootFailure && error.reason === "channel_refused") engines.noteChannel(error.summary);
      },
    );
    return process;
  }

  const probe = new ChannelProbe({
    clock,
    // A process that is starting finds out the same.
    workspace: () => (starting > 0 ? null : engines.undecidedWorkspace()),
    start: (workspace) =>
      startInteractive(
        {
          sessionKey: `probe:${crypto.randomUUID()}`,
          claudeSession: crypto.randomUUID(),
          resume: false,
          // The configuration names the workspace.
          trusted: true,
          choice: {
            workspace,
            model: null,
            effort: null,
            systemPrompt: null,
            claudeTools: ALL_CLAUDE_TOOLS,
            isIsolated: false,
          },
          engine: "interactive",
          tools: new Map(),
          rules: [],
        },
        NO_OWNER,
      ),
  });

  return {
    start: (spec, owner) => {
      const { engine, reason, why } = engines.choose(spec.engine, spec.choice.workspace);
      log.debug("engine chosen: {engine}, because {why}", { session: spec.sessionKey, engine, why });
      if (engine === "interactive") {
        probe.cancel();
        return startInteractive(spec, owner);
      }
      if (reason === "channel_refused") probe.plan();
      const folder = join(paths.run, crypto.randomUUID());
      const own = spec.choice.isIsolated ? unnamedConfig(config) : config;
      return new StreamProcess(spec, owner, {
        config: own,
        env,
        folder,
        deny,
        sessionFolder,
        limits,
        reports,
        clock,
        ...(messages && { messages }),
      });
    },
    tokens,
    findRival: (claudeSession) => sessionFolder.findRival(claudeSession),
    engineFor: (spec) => engines.choose(spec.engine, spec.choice.workspace).engine,
    probeChannel: () => probe.run(),
    close: () => {
      sessionFolder.close();
      return probe.close();
    },
  };
}
