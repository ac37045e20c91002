/**
 * The plugin that every Claude Code process of the server loads: an MCP server with a channel, which is this program as
 * `synthesis channel`, and hooks that post to the server.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { version } from "../../package.json";
import { HOOK_NAMES } from "../wire/hooks.ts";

export const PLUGIN_NAME = "synthesis";
export const SERVER_NAME = "chat";
/** Claude Code puts this in front of the names of the MCP server's tools. */
export const TOOL_PREFIX = `mcp__plugin_${PLUGIN_NAME}_${SERVER_NAME}__`;

/** How long Claude Code waits for the answer to a permission hook, in s. The server answers before that. */
const PERMISSION_HOOK_S = 24 * 60 * 60;

/**
 * Variables with which the settings of a workspace could make Bun run other code inside the plugin. They are removed from
 * its environment, because an empty value does not turn all of them off.
 */
const BUN_VARIABLES = ["BUN_OPTIONS", "BUN_INSPECT", "BUN_INSPECT_PRELOAD", "BUN_BE_BUN"];

/** What connects one Claude Code process to its server. */
export interface PluginLink {
  /** The server's port. */
  readonly port: number;
  /** Opens `/bridge` for this process's plugin. */
  readonly bridgeToken: string;
  /** Opens `/hooks` for this process's hooks. */
  readonly hookToken: string;
  /** Claude Code's session id. */
  readonly claudeSession: string;
}

/**
 * Writes the plugin of one process for `--plugin-dir`. The tokens are in its files and not in the environment, because
 * every program that Claude starts would inherit the environment.
 * @param folder created with mode 0700; no other user may write to its parent
 * @param program the command that starts this program: its executable and first arguments
 */
export function writePlugin(folder: string, link: PluginLink, program: readonly string[]): void {
  writeJson(join(folder, ".claude-plugin/plugin.json"), {
    name: PLUGIN_NAME,
    version,
    description: "Connects this Claude Code process to the synthesis server that started it.",
    mcpServers: {
      [SERVER_NAME]: {
        command: "/usr/bin/env",
        args: [...BUN_VARIABLES.flatMap((name) => ["-u", name]), ...program, "channel"],
        env: {
          SYNTHESIS_BRIDGE_URL: `ws://127.0.0.1:${link.port}/bridge`,
          SYNTHESIS_BRIDGE_TOKEN: link.bridgeToken,
          SYNTHESIS_CLAUDE_SESSION: link.claudeSession,
          // Listed because Claude Code can be configured to pass on only the variables in the manifest. The value is a
          // reference, because clients choose the session key, and Claude Code would expand a `${…}` in it.
          SYNTHESIS_OPENCLAW_SESSION: `\${SYNTHESIS_OPENCLAW_SESSION}`,
        },
      },
    },
    channels: [{ server: SERVER_NAME }],
  });
  const hook = {
    type: "http",
    url: `http://127.0.0.1:${link.port}/hooks`,
    headers: { Authorization: `Bearer ${link.hookToken}` },
  };
  writeJson(join(folder, "hooks/hooks.json"), {
    hooks: Object.fromEntries(
      HOOK_NAMES.map((name) => [
        name,
        [{ hooks: [name === "PermissionRequest" ? { ...hook, timeout: PERMISSION_HOOK_S } : hook] }],
      ]),
    ),
  });
}

function writeJson(file: string, content: object): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
}
