/** The client's tools, and the choice of Claude's own, as all parts of the server use them. */

export type JsonSchema = Readonly<Record<string, unknown>>;

/** A tool call, as the client receives it. */
export interface ToolCall {
  readonly id: string;
  /** The client's name for the tool. */
  readonly name: string;
  /** The arguments as JSON. */
  readonly arguments: string;
}

/** A tool as the client describes it. */
export interface ClientTool {
  readonly name: string;
  readonly description: string;
  /** A JSON Schema; null when the tool takes no arguments. */
  readonly parameters: JsonSchema | null;
}

export interface OfferedTool {
  /** The client's name for the tool. */
  readonly name: string;
  /** The tool as Claude sees it. */
  readonly definition: { readonly name: string; readonly description: string; readonly inputSchema: JsonSchema };
  /** The schema is not that of an object, so Claude sees an object schema with this schema as its only property. */
  readonly isWrapped: boolean;
}

/** The offered tools, by the names that Claude uses. */
export type ToolCatalogue = ReadonlyMap<string, OfferedTool>;

/** The property that holds a schema if its root is not an object. */
export const WRAPPER_KEY = "input";

/** The arguments of a call for the client, as JSON. */
export const argumentsFor = (tool: OfferedTool, given: Record<string, unknown>): string =>
  JSON.stringify(tool.isWrapped && WRAPPER_KEY in given ? given[WRAPPER_KEY] : given);

/** Hexadecimal digits in a call's id: as many random bits as a uuid has. */
const CALL_ID_DIGITS = 32;

/**
 * The id of a call for the client. It is unique among all turns, so a result finds its turn by it. It has only letters
 * and digits: OpenClaw drops all others.
 * @param turn the turn's id
 * @param id Claude's id of the call
 */
export const clientCallId = (turn: string, id: string): string =>
  `call${new Bun.CryptoHasher("sha256").update(`${turn} ${id}`).digest("hex").slice(0, CALL_ID_DIGITS)}`;

/** An id as it is compared: without the characters that a client may have dropped. */
export const plainId = (id: string): string => id.replace(/[^A-Za-z0-9]/g, "");

/** Which of Claude Code's own tools Claude has. */
export interface ClaudeTools {
  /** The names of the only ones that it has; null for all. */
  readonly only: readonly string[] | null;
  /** The names of those that it does not have. */
  readonly without: readonly string[];
}

export const ALL_CLAUDE_TOOLS: ClaudeTools = { only: null, without: [] };
