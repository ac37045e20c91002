/**
 * Settings that stop Claude Code from working with synthesis and that `--settings` cannot override, because a denial
 * always wins. Claude Code reports none of them, so our errors name the setting.
 */
import type { Config } from "../config/schema.ts";
import { RequestError } from "../core/errors.ts";
import { PLUGIN_NAME, SERVER_NAME, TOOL_PREFIX } from "../plugin/manifest.ts";
import type { LaunchSpec } from "./launch-spec.ts";
import { disabledServers, type Settings, settingsFiles } from "./settings-files.ts";

/** Claude Code offers no channels when one of these variables is set. */
export const CHANNEL_SWITCHES = [
  "DISABLE_TELEMETRY",
  "DO_NOT_TRACK",
  "DISABLE_GROWTHBOOK",
  "CLAUDE_CODE_DISABLE_FEATURE_FLAGS",
  "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
];
/** Variables that select a provider with which channels do not work. */
const OTHER_PROVIDERS = [
  "CLAUDE_CODE_USE_BEDROCK",
  "CLAUDE_CODE_USE_VERTEX",
  "CLAUDE_CODE_USE_FOUNDRY",
  "CLAUDE_CODE_USE_MANTLE",
  "CLAUDE_CODE_USE_ANTHROPIC_AWS",
  "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD",
];
/** Claude Code loads no plugins when one of these variables is set. Its user wants that: it is reported, and not overridden. */
export const PLUGINS_OFF = ["CLAUDE_CODE_SAFE_MODE", "CLAUDE_CODE_SKIP_PLUGIN_MCP_SERVERS"];
/** Claude Code counts these as set whatever their value. It reads the others as true or false. */
const SET_BY_ANY_VALUE = ["DISABLE_TELEMETRY", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"];

/** The name of our MCP server in Claude Code's lists of servers. Patterns in these lists match addresses, not names. */
const OUR_SERVER = `plugin:${PLUGIN_NAME}:${SERVER_NAME}`;

/** The first variable that turns channels off, or selects a provider without them; undefined when there is none. */
export const findChannelSwitch = (env: Readonly<Record<string, unknown>>): string | undefined =>
  [...CHANNEL_SWITCHES, ...OTHER_PROVIDERS].find((name) => {
    const value = String(env[name] ?? "");
    return value !== "" && (SET_BY_ANY_VALUE.includes(name) || !/^(0|false|no|off)$/i.test(value.trim()));
  });

export interface BlockingSetting {
  readonly file: string;
  /** As a person finds it in the file, for example `permissions.deny: mcp__*`. */
  readonly key: string;
  /**
   * `plugin`: the plugin does not start, so no message arrives. `channel`: Claude Code may refuse the channel. `tools`:
   * Claude is not offered the client's tools or the reply tool.
   */
  readonly blocks: "plugin" | "channel" | "tools";
}

/** @param env the environment that Claude Code gets */
export function findBlockingSettings(workspace: string, env: Record<string, string | undefined>): BlockingSetting[] {
  const disabled = disabledServers(workspace, env);
  return [
    ...settingsFiles(workspace, env).flatMap(({ file, settings }) =>
      [...pluginKeys(settings), ...channelKeys(settings), ...toolKeys(settings)].map((found) => ({ file, ...found })),
    ),
    ...(disabled.names.includes(OUR_SERVER)
      ? [{ file: disabled.file, key: `disabledMcpServers of ${workspace}`, blocks: "plugin" as const }]
      : []),
  ];
}

/** A blocking setting as part of a sentence: `permissions.deny: mcp__* in /home/you/.claude/settings.json`. */
export const describeBlockingSetting = ({ file, key }: BlockingSetting): string => `${key} in ${file}`;

/** The error for a process that this setting makes impossible. A retry would fail in the same way. */
export const pluginBlocked = (setting: BlockingSetting): RequestError =>
  new RequestError(
    "claude_not_ready",
    `A Claude Code setting blocks the plugin of synthesis: ${describeBlockingSetting(setting)}. Remove the setting or, ` +
      `if it is a list of denied servers, take ${OUR_SERVER} off the list. Then send the message again.`,
  );

/** What a client should know whose tools are denied, as a sentence; null when none are, or none are wanted. */
export function deniedToolsNote(
  settings: readonly BlockingSetting[],
  { tools }: Pick<LaunchSpec, "tools">,
  { reply }: Pick<Config, "reply">,
): string | null {
  const denied = settings.filter(({ blocks }) => blocks === "tools").map(describeBlockingSetting);
  if (denied.length === 0 || (tools.size === 0 && reply !== "tool")) return null;
  return `Settings deny Claude the tools of the chat: ${denied.join(", ")}. Remove the rule to allow them.`;
}

type Finding = Omit<BlockingSetting, "file">;

function pluginKeys({ deniedMcpServers, allowedMcpServers }: Settings): Finding[] {
  const denied = deniedMcpServers?.some(({ serverName, serverCommand }) => {
    // Our server's command begins and ends with these words, however the program itself is started.
    return serverName === OUR_SERVER || (serverCommand?.at(-1) === "channel" && serverCommand[0] === "/usr/bin/env");
  });
  return [
    ...(denied ? [{ key: "deniedMcpServers", blocks: "plugin" as const }] : []),
    // If such a list exists, Claude Code starts no server of any plugin, not even one that the list names.
    ...(allowedMcpServers ? [{ key: "allowedMcpServers", blocks: "plugin" as const }] : []),
  ];
}

function channelKeys({ env = {} }: Settings): Finding[] {
  const name = findChannelSwitch(env);
  return name === undefined ? [] : [{ key: `env.${name}`, blocks: "channel" }];
}

const toolKeys = ({ permissions }: Settings): Finding[] =>
  (permissions?.deny ?? [])
    .filter(deniesOurTools)
    .map((rule) => ({ key: `permissions.deny: ${rule}`, blocks: "tools" }));

/** Whether a deny rule names our server, one of its tools, or a pattern that matches them. */
function deniesOurTools(rule: string): boolean {
  const server = TOOL_PREFIX.replace(/__$/, "");
  if (rule === server || rule.startsWith(TOOL_PREFIX)) return true;
  const [beginning, ...rest] = rule.split("*");
  return rest.length > 0 && rule.startsWith("mcp__") && TOOL_PREFIX.startsWith(beginning ?? "");
}
