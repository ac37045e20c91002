/**
 * Decides how Claude Code is run: in a terminal, or over stream-json where its channels do not work and where an API key
 * pays, so that a plan's limits do not matter.
 */
import type { EngineSetting } from "../config/schema.ts";
import type { Engine } from "./agent-process.ts";
import { apiKeyInUse } from "./api-key.ts";
import { findBlockingSettings, findChannelSwitch, PLUGINS_OFF } from "./blocking-settings.ts";
import type { AuthStatus } from "./executable.ts";
import type { ManagedSettings } from "./managed-settings.ts";

/** Why an engine was chosen. Unlike the text in `why` it does not change. */
type EngineReason =
  /** The configuration names the engine. */
  | "setting"
  /** A variable turns channels or plugins off, or selects a provider without channels. */
  | "environment"
  /** Claude Code's own answer says that it uses another provider, or has analytics and channels off. */
  | "claude_status"
  | "managed_settings"
  /** Settings of the user or the workspace turn channels off, or keep our plugin out. */
  | "claude_settings"
  | "api_key"
  /** Claude Code refused the channel when it was last started in a terminal. */
  | "channel_refused"
  /** Nothing speaks against a terminal. */
  | "default";

export interface EngineChoice {
  readonly engine: Engine;
  readonly reason: EngineReason;
  /** The reason for people: a clause that follows "because". */
  readonly why: string;
}

/** What decides besides the setting and the workspace. */
export interface EngineFacts {
  readonly managed: ManagedSettings;
  /** The environment that Claude Code gets. */
  readonly env: Record<string, string | undefined>;
  /** The configuration approves the API key in the environment. */
  readonly useApiKey: boolean;
  /** What Claude Code says about its login; null when that is not known. */
  readonly auth: AuthStatus | null;
  /** Why Claude Code last refused its channel; null when it did not. */
  readonly refusal: string | null;
}

/** The engine for a process that is started in a workspace. */
export function chooseEngine(setting: EngineSetting, workspace: string, facts: EngineFacts): EngineChoice {
  if (setting !== "auto") return { engine: setting, reason: "setting", why: "the configuration says so" };
  const [reason, why] = whyStream(workspace, facts) ?? ["default", "no API key is in use"];
  return { engine: reason === "default" ? "interactive" : "stream", reason, why };
}

function whyStream(workspace: string, facts: EngineFacts): [EngineReason, string] | null {
  const { managed, env, useApiKey, auth, refusal } = facts;
  const channelSwitch = findChannelSwitch(env);
  if (channelSwitch) return ["environment", `Claude Code offers no channels while ${channelSwitch} is set`];
  const pluginSwitch = PLUGINS_OFF.find((name) => env[name]);
  if (pluginSwitch) return ["environment", `Claude Code loads no plugins while ${pluginSwitch} is set`];
  if (managed.channelsDisabled) return ["managed_settings", "managed settings do not enable channels"];
  if (managed.hooksForbidden) return ["managed_settings", "managed settings forbid our hooks"];
  if (managed.pluginForbidden) return ["managed_settings", "managed settings keep our plugin out (allowedMcpServers)"];
  const setting = findBlockingSettings(workspace, env).find(({ blocks }) => blocks !== "tools");
  if (setting) return ["claude_settings", `${setting.key} in ${setting.file} keeps Claude Code from channels`];
  if (auth?.apiProvider && auth.apiProvider !== "firstParty") {
    return ["claude_status", `Claude Code offers no channels with ${auth.apiProvider}`];
  }
  if (auth?.analyticsDisabled) return ["claude_status", "Claude Code's settings turn channels off with its analytics"];
  const key = apiKeyInUse(workspace, env, useApiKey, auth);
  if (key !== null) return ["api_key", `Claude Code uses an API key (${key})`];
  return refusal === null ? null : ["channel_refused", `Claude Code refused its channel: ${refusal}`];
}
