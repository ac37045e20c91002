/** The client's tools, as every room of the program knows them. */

/** A JSON Schema. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** One call, as the client gets it. */
export interface ToolCall {
  readonly id: string;
  /** The client's name of the tool. */
  readonly name: string;
  /** As JSON. */
  readonly arguments: string;
}

export interface OfferedTool {
  /** The client's name. */
  readonly name: string;
  /** What claude is offered. */
  readonly definition: { readonly name: string; readonly description: string; readonly inputSchema: JsonSchema };
  /** Its schema is not an object's: claude is offered one with this as its only property. */
  readonly isWrapped: boolean;
}

/** By the names that claude knows them by. */
export type ToolCatalogue = ReadonlyMap<string, OfferedTool>;
