/**
 * Settings that keep Claude Code from working with us and that `--settings` cannot override: denials always win. They
 * are named to the user, since Claude Code itself says nothing of them.
 */
import { RequestError } from "../core/errors.ts";
import { PLUGIN_NAME, SERVER_NAME, TOOL_PREFIX } from "../plugin/manifest.ts";
import { disabledServers, type Settings, settingsFiles } from "./settings-files.ts";

/** Any of these, when set, keeps Claude Code from offering channels. */
export const CHANNEL_SWITCHES = [
  "DISABLE_TELEMETRY",
  "DO_NOT_TRACK",
  "DISABLE_GROWTHBOOK",
  "CLAUDE_CODE_DISABLE_FEATURE_FLAGS",
  "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
];
/** Channels do not work with these. */
export const OTHER_PROVIDERS = ["CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY"];

/** The error for a start that settings make impossible. A retry would end like it. */
export const pluginKeptOut = (hindrance: Hindrance) =>
  new RequestError(
    "claude_not_ready",
    `Settings keep the plugin of synthesis out of Claude Code: ${naming(hindrance)}. Remove this setting, or except ` +
      `the server ${OUR_SERVER} from it where it is a list of denied ones. Then send the message again.`,
  );

/** What Claude Code calls our MCP server in its lists of servers. Their patterns match addresses only, and not names. */
const OUR_SERVER = `plugin:${PLUGIN_NAME}:${SERVER_NAME}`;

export interface Hindrance {
  readonly file: string;
  /** As a person finds it in the file, such as `permissions.deny: mcp__*`. */
  readonly key: string;
  /**
   * `plugin`: it is not started, and no message arrives. `channel`: Claude Code may refuse it. `tools`: the client's
   * tools, and the reply tool, are not offered.
   */
  readonly keeps: "plugin" | "channel" | "tools";
}

/** @param env the environment that Claude Code gets */
export function hindrances(workspace: string, env: Record<string, string | undefined>): Hindrance[] {
  const disabled = disabledServers(workspace, env);
  return [
    ...settingsFiles(workspace, env).flatMap(({ file, settings }) =>
      [...pluginKeys(settings), ...channelKeys(settings), ...toolKeys(settings)].map((found) => ({ file, ...found })),
    ),
    ...(disabled.names.includes(OUR_SERVER)
      ? [{ file: disabled.file, key: `disabledMcpServers of ${workspace}`, keeps: "plugin" as const }]
      : []),
  ];
}

/** A hindrance in a sentence's words: `permissions.deny: mcp__* in /home/you/.claude/settings.json`. */
export const naming = ({ file, key }: Hindrance): string => `${key} in ${file}`;

function pluginKeys({ deniedMcpServers, allowedMcpServers }: Settings): Omit<Hindrance, "file">[] {
  const denied = deniedMcpServers?.some(({ serverName, serverCommand }) => {
    // Ours is the last argument of our command, whichever way it starts.
    return serverName === OUR_SERVER || (serverCommand?.at(-1) === "channel" && serverCommand[0] === "/usr/bin/env");
  });
  return [
    ...(denied ? [{ key: "deniedMcpServers", keeps: "plugin" as const }] : []),
    // Claude Code lets in no server of a plugin where there is such a list, not even one that it names.
    ...(allowedMcpServers ? [{ key: "allowedMcpServers", keeps: "plugin" as const }] : []),
  ];
}

const channelKeys = ({ env = {} }: Settings): Omit<Hindrance, "file">[] =>
  [...CHANNEL_SWITCHES, ...OTHER_PROVIDERS]
    .filter((name) => env[name] !== undefined && env[name] !== "")
    .map((name) => ({ key: `env.${name}`, keeps: "channel" }));

const toolKeys = ({ permissions }: Settings): Omit<Hindrance, "file">[] =>
  (permissions?.deny ?? [])
    .filter(deniesOurTools)
    .map((rule) => ({ key: `permissions.deny: ${rule}`, keeps: "tools" }));

/** Whether a deny rule holds for tools of our server: it names the server, one of its tools, or a pattern of both. */
function deniesOurTools(rule: string): boolean {
  const server = TOOL_PREFIX.replace(/__$/, "");
  if (rule === server || rule.startsWith(TOOL_PREFIX)) return true;
  const [beginning, ...rest] = rule.split("*");
  return rest.length > 0 && rule.startsWith("mcp__") && TOOL_PREFIX.startsWith(beginning ?? "");
}
