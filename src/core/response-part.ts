/** What an answer consists of, in every dialect of the clients. */
import type { RequestError } from "./errors.ts";
import type { ToolCall } from "./tools.ts";
import type { Usage } from "./usage.ts";

export type ResponsePart =
  | { readonly type: "text"; readonly text: string }
  /** A line about what Claude is doing. */
  | { readonly type: "progress"; readonly text: string }
  /** The answer ends with these calls, and the client sends their results with its next request. */
  | { readonly type: "calls"; readonly calls: readonly ToolCall[] }
  /** The answer is complete; a `reason` says why Claude's model was cut off. */
  | { readonly type: "finish"; readonly reason?: CutOff }
  | { readonly type: "usage"; readonly usage: Usage }
  | { readonly type: "error"; readonly error: RequestError };

/** Why Claude's model was cut off. */
export type CutOff = "length" | "content_filter";
