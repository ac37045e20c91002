/** Decides how Claude Code is run: in a terminal, or over stream-json where its channels do not work. */
import type { Config } from "../config/schema.ts";
import type { Engine } from "./agent-process.ts";
import { CHANNEL_SWITCHES, findBlockingSettings, OTHER_PROVIDERS } from "./blocking-settings.ts";
import type { ManagedSettings } from "./managed-settings.ts";

export interface EngineChoice {
  readonly engine: Engine;
  /** Why this engine, for people: a clause that follows "because". */
  readonly why: string;
}

/**
 * The engine for a workspace.
 * @param env the environment that Claude Code gets
 * @param refusal why Claude Code refused its channel a while ago; null when it did not
 */
export function chooseEngine(
  { engine }: Pick<Config, "engine">,
  workspace: string,
  managed: ManagedSettings,
  env: Record<string, string | undefined>,
  refusal: string | null = null,
): EngineChoice {
  if (engine !== "auto") return { engine, why: "SYNTHESIS_ENGINE says so" };
  const variable = [...CHANNEL_SWITCHES, ...OTHER_PROVIDERS].find((name) => env[name]);
  if (variable) return { engine: "stream", why: `Claude Code offers no channels while ${variable} is set` };
  if (managed.channelsDisabled) return { engine: "stream", why: "managed settings do not enable channels" };
  if (managed.hooksForbidden) return { engine: "stream", why: "managed settings forbid our hooks" };
  const setting = findBlockingSettings(workspace, env).find(
    ({ blocks }) => blocks === "channel" || blocks === "plugin",
  );
  if (setting) return { engine: "stream", why: `${setting.key} in ${setting.file} keeps Claude Code from channels` };
  if (refusal !== null) return { engine: "stream", why: `Claude Code refused its channel: ${refusal}` };
  return { engine: "interactive", why: "channels work" };
}
