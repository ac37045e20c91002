/**
 * The content of `--settings`. It takes precedence over the workspace's own settings, so everything that a workspace
 * could use against us is set here again: our variables replaced, MCP servers approved, and in a terminal our plugin and
 * its hooks disabled.
 */
import { dirname, join } from "node:path";
import { z } from "zod";
import type { Config } from "../config/schema.ts";
import { readJsonFile } from "./json-file.ts";
import type { LaunchSpec } from "./launch-spec.ts";

/**
 * @param env variables that must win over those of the workspace's settings
 * @param deny permission rules that protect the server's own files
 */
export const launchSettings = (
  { choice, rules }: LaunchSpec,
  env: Record<string, string>,
  deny: readonly string[],
): object => ({
  // Otherwise a workspace could start its own MCP servers by approving them itself.
  enableAllProjectMcpServers: false,
  disabledMcpjsonServers: projectMcpServers(choice.workspace),
  env,
  permissions: { allow: rules, deny },
});

/** A timer of more than this many ms fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Enough for the slow MCP servers of users who have raised the limit. Claude Code does not wait for a server that hangs. */
const MCP_START_MS = 120_000;

/** Variables without which Claude Code would break a call of a client's tool, or our plugin. */
export function mcpLimits({ parkedToolTimeoutMs }: Config): Record<string, string> {
  // A call may wait for earlier calls as long as they do, and then for its own result as long again.
  const longest = `${Math.min(2 * parkedToolTimeoutMs + 60_000, MAX_TIMER_MS)}`;
  return {
    /** Users may have set a time-out for other servers that is too short for our plugin to start. */
    MCP_TIMEOUT: `${MCP_START_MS}`,
    /** Claude Code must not give up on a call before the server does. */
    MCP_TOOL_TIMEOUT: longest,
    CLAUDE_CODE_MCP_TOOL_IDLE_TIMEOUT: longest,
    /** Claude Code writes a longer result to a file instead of showing it to the model. */
    MAX_MCP_OUTPUT_TOKENS: "1000000",
  };
}

const mcpFile = z.looseObject({ mcpServers: z.record(z.string(), z.unknown()) });

/**
 * The names of the MCP servers in the `.mcp.json` of a folder and of all folders above it. Claude Code does not read a file
 * of some megabytes, so none is too large here that it would read.
 */
function projectMcpServers(folder: string): string[] {
  const above = dirname(folder) === folder ? [] : projectMcpServers(dirname(folder));
  const file = mcpFile.safeParse(readJsonFile(join(folder, ".mcp.json")));
  return file.success ? [...above, ...Object.keys(file.data.mcpServers)] : above;
}
