/** Checks whether Claude Code accepts the channel through which our plugin sends it messages. */
import { z } from "zod";
import { CHANNEL_SWITCHES, findChannelSwitch } from "../claude/blocking-settings.ts";
import { stateFile } from "../claude/config-folder.ts";
import type { AgentEngine } from "../claude/engines.ts";
import type { AuthStatus } from "../claude/executable.ts";
import { readJsonFile } from "../claude/json-file.ts";
import { readManagedSettings } from "../claude/managed-settings.ts";
import { PLUGIN_NAME } from "../plugin/manifest.ts";
import { type Check, subject } from "./check.ts";

type Env = Record<string, string | undefined>;

const channel = subject("channel");

/**
 * Where Claude Code refuses channels, `auto` runs it over stream-json, so that nothing is wrong.
 * @param engines of all conversations and of the agents
 * @param command what a person types to start this Claude Code
 */
export function channelCheck(
  engines: readonly AgentEngine[],
  auth: AuthStatus | null,
  env: Env,
  command: string,
): Check {
  if (!engines.some(({ engine }) => engine === "interactive")) return channel.ok("not needed over stream-json");
  const check = interactiveCheck(auth, env, command);
  if (engines.some(({ setting }) => setting === "interactive") || check.result !== "failed") return check;
  return channel.ok(`${check.found}; Claude Code is run over stream-json instead`);
}

function interactiveCheck(auth: AuthStatus | null, env: Env, command: string): Check {
  const variable = findChannelSwitch(env);
  if (variable) {
    return channel.failed("environment", `disabled by ${variable}`, "Unset it where you start synthesis.");
  }
  if (auth?.apiProvider && auth.apiProvider !== "firstParty") {
    return channel.failed(
      "provider",
      `does not work with ${auth.apiProvider}`,
      "Use Claude Code with a Claude login or an Anthropic API key.",
    );
  }
  if (auth?.analyticsDisabled) {
    return channel.failed(
      "claude_settings",
      "disabled in Claude Code's settings",
      `Remove ${CHANNEL_SWITCHES.join(", ")} from \`env\` in Claude Code's settings.`,
    );
  }
  const managed = readManagedSettings(PLUGIN_NAME);
  if (managed.channelsDisabled) {
    return channel.failed(
      "managed_settings",
      "managed settings without channelsEnabled",
      "Ask your administrator for `channelsEnabled: true`.",
    );
  }
  if (managed.pluginForbidden) {
    return channel.failed(
      "managed_settings",
      "managed settings keep the plugin of synthesis out (allowedMcpServers)",
      "Set SYNTHESIS_ENGINE=auto.",
    );
  }
  const way = managed.channelAllowed ? "allowed by managed settings" : "as a development channel";
  if (isFeatureEnabled(env)) return channel.ok(way);
  return channel.warning(
    "feature_not_fetched",
    `${way}; Claude Code has not fetched the feature flag for channels`,
    `Start \`${command}\` once while online. \`synthesis doctor --live\` tests whether the channel works.`,
  );
}

/** What Claude Code remembers of the feature flags that its server sent. `tengu_harbor` stands for channels. */
const featureFlags = z.looseObject({ cachedGrowthBookFeatures: z.looseObject({ tengu_harbor: z.literal(true) }) });

const isFeatureEnabled = (env: Env): boolean => featureFlags.safeParse(readJsonFile(stateFile(env))).success;
