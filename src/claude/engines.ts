/** The engine of each process that is started, by what is known of Claude Code at that moment. */
import { engineOf, workspaceOf } from "../config/agent-settings.ts";
import type { Paths } from "../config/paths.ts";
import type { Config, EngineSetting } from "../config/schema.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { realFolder } from "../core/real-folder.ts";
import { ChannelRecord } from "./channel-record.ts";
import { chooseEngine, type EngineChoice } from "./engine.ts";
import type { AuthStatus } from "./executable.ts";
import type { ManagedSettings } from "./managed-settings.ts";

/** The engine of the conversations of one agent in its own workspace. */
export interface AgentEngine extends EngineChoice {
  /** Null for conversations without an agent, and for agents that the configuration does not name. */
  readonly agent: string | null;
  readonly setting: EngineSetting;
  /** A real path, if it exists. */
  readonly workspace: string;
}

export interface Engines {
  /** @param workspace a real path */
  choose(setting: EngineSetting, workspace: string): EngineChoice;
  /** The default engine first, then those of the agents that the configuration names. */
  configured(): readonly [AgentEngine, ...AgentEngine[]];
  /** Notes what Claude Code says about its login. */
  noteLogin(auth: AuthStatus | null): void;
  /** Notes the end of a start in a terminal. @param refusal why the channel was refused; null when it was registered */
  noteChannel(refusal: string | null): void;
  /** Calls the listener at the end of each start in a terminal. @param listener as in `noteChannel` */
  onChannel(listener: (refusal: string | null) => void): void;
  /** The workspace in which a start in a terminal would tell which engine to use; null when it is known, or settled. */
  undecidedWorkspace(): string | null;
}

export interface EnginesOptions {
  readonly config: Config;
  readonly paths: Pick<Paths, "channelRecord">;
  readonly managed: ManagedSettings;
  readonly env: Record<string, string | undefined>;
  readonly clock?: Pick<Clock, "wallTime">;
}

export function createEngines({ config, paths, managed, env, clock = systemClock }: EnginesOptions): Engines {
  const { claudeBin, useApiKey } = config;
  const channel = new ChannelRecord({ file: paths.channelRecord, claudeBin, env, clock });
  const channelListeners = new Set<(refusal: string | null) => void>();
  let auth: AuthStatus | null = null;

  const choose = (setting: EngineSetting, workspace: string): EngineChoice =>
    chooseEngine(setting, workspace, { managed, env, useApiKey, auth, refusal: channel.refusal });

  function forAgent(agent: string | null): AgentEngine {
    const setting = engineOf(agent, config);
    const workspace = realFolder(workspaceOf(agent, config));
    return { agent, setting, workspace, ...choose(setting, workspace) };
  }

  const configured = (): [AgentEngine, ...AgentEngine[]] => [
    forAgent(null),
    ...Object.keys(config.agents).map((agent) => forAgent(agent)),
  ];

  return {
    choose,
    configured,
    noteLogin: (status) => {
      auth = status;
    },
    noteChannel: (refusal) => {
      channel.note(refusal);
      for (const listener of channelListeners) listener(refusal);
    },
    onChannel: (listener) => {
      channelListeners.add(listener);
    },
    undecidedWorkspace: () => {
      if (!channel.isOutdated) return null;
      const undecided = configured().find(({ reason }) => reason === "default" || reason === "channel_refused");
      return undecided?.workspace ?? null;
    },
  };
}
