/** The messages between the server and the thread that checks values against schemas. */
import type { JsonSchema } from "../core/tools.ts";

export interface CheckRequest {
  readonly schema: JsonSchema;
  /** The value as JSON; null to compile the schema only. */
  readonly text: string | null;
  /** False leaves out all regular expressions. */
  readonly withPatterns: boolean;
}

export interface CheckResponse {
  /** What is wrong with the value, one line for each fault; null when it fits the schema as far as that was checked. */
  readonly problem: string | null;
  /** The parts of the schema that were not checked, each with its JSON pointer, such as `pattern at /properties/id`. */
  readonly leftOut: readonly string[];
}

/** What the thread sends first. */
export const READY = "ready";
