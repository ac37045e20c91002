/** The client's tools, as all parts of the server use them. */

/** A JSON Schema. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** A tool call, as the client receives it. */
export interface ToolCall {
  readonly id: string;
  /** The client's name for the tool. */
  readonly name: string;
  /** As JSON. */
  readonly arguments: string;
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
