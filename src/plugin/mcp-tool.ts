/** The client's tools as an MCP server offers them to Claude Code. */
import type { Tool } from "@modelcontextprotocol/server";
import type { ToolDefinition } from "../wire/frames.ts";

/** Claude Code writes a longer result to a file and shows the model only its beginning. In characters; its own maximum. */
const MAX_RESULT_SIZE = 500_000;

/** A tool of the client's. */
export const asMcpTool = (tool: ToolDefinition): Tool => ({
  ...(tool as Tool),
  // Claude Code makes calls of other tools one by one, each after the result of the one before.
  annotations: { readOnlyHint: true },
  _meta: { "anthropic/maxResultSizeChars": MAX_RESULT_SIZE },
});

/** The result of a call that has failed. */
export const toolError = (text: string) => ({ content: [{ type: "text" as const, text }], isError: true });
