/**
 * The Claude Code plugin that every claude of ours loads: an MCP server with a channel, which is this
 * same program as `synthesis channel`, and hooks that post to the server.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { version } from "../../package.json";
import { HOOK_NAMES } from "../wire/hooks.ts";

export const PLUGIN_NAME = "synthesis";
export const SERVER_NAME = "chat";
/** What Claude Code puts before the names of our MCP tools. */
export const TOOL_PREFIX = `mcp__plugin_${PLUGIN_NAME}_${SERVER_NAME}__`;

/** A permission is waited for as long as this, in s; the server answers before. */
const PERMISSION_HOOK_S = 24 * 60 * 60;

/** What the channel reads. Claude Code can be set to pass on only the variables that the manifest names. */
const CHANNEL_ENV = Object.fromEntries(
  ["BRIDGE_URL", "BRIDGE_TOKEN", "OPENCLAW_SESSION", "CLAUDE_SESSION"].map((name) => [
    `SYNTHESIS_${name}`,
    `\${SYNTHESIS_${name}}`,
  ]),
);

/** Where `writePlugin` writes, below its folder. */
const PLACES = { manifest: [".claude-plugin", "plugin.json"], hooks: ["hooks", "hooks.json"] } as const;

export const pluginFiles = (folder: string): string[] => Object.values(PLACES).map((place) => join(folder, ...place));

/**
 * Writes the plugin for `--plugin-dir`.
 * @param folder made if it is not there, with mode 0700
 * @param port the server's, to which the hooks post
 * @param program how this program is started again: its executable and first arguments
 */
export function writePlugin(folder: string, port: number, program: readonly string[]): void {
  const [command, ...args] = program;
  writeJson(join(folder, ...PLACES.manifest), {
    name: PLUGIN_NAME,
    version,
    description: "Connects this claude to the synthesis server that started it.",
    mcpServers: { [SERVER_NAME]: { command, args: [...args, "channel"], env: CHANNEL_ENV } },
    channels: [{ server: SERVER_NAME }],
  });
  const hook = {
    type: "http",
    url: `http://127.0.0.1:${port}/hooks`,
    headers: { Authorization: "Bearer $SYNTHESIS_HOOK_TOKEN" },
    allowedEnvVars: ["SYNTHESIS_HOOK_TOKEN"],
  };
  writeJson(join(folder, ...PLACES.hooks), {
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
