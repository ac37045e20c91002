/** The client's tools as an MCP server offers them to Claude Code. */
import type { Tool } from "@modelcontextprotocol/server";
import type { ToolDefinition } from "../wire/frames.ts";

/** In characters, the most that Claude Code allows. It writes a longer result to a file and shows the model the start. */
export const MAX_RESULT_SIZE = 500_000;

/** A tool of the client's. */
export const asMcpTool = (tool: ToolDefinition): Tool => ({
  ...(tool as Tool),
  // Claude Code calls other tools one at a time, each after the result of the previous call.
  annotations: { readOnlyHint: true },
  _meta: { "anthropic/maxResultSizeChars": MAX_RESULT_SIZE },
});

/** The result of a call that has failed. */
export const toolError = (text: string) => ({ content: [{ type: "text" as const, text }], isError: true });
