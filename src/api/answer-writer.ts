/** How an answer is written for a client: as the events of a stream, or as one body. Each dialect has its own writer. */
import type { CutOff, ResponsePart } from "../core/response-part.ts";
import type { ToolCall } from "../core/tools.ts";
import type { Usage } from "../core/usage.ts";

export interface WholeAnswer {
  readonly text: string;
  /** What Claude did before it answered, in lines; empty when it is not shown. */
  readonly progress: string;
  readonly calls: readonly ToolCall[];
  /** Why the model was cut off; null when the answer is complete, or ends with calls. */
  readonly cutOff: CutOff | null;
  /** Null when it is not known. */
  readonly usage: Usage | null;
}

/** Writes one answer. All texts are server-sent events, in the order of the calls; an empty one is not sent. */
export interface AnswerWriter {
  /** The end of the stream has the token usage, which is known a little after the answer. */
  readonly hasUsage: boolean;
  /** What is sent before Claude answers, so that the client knows that its request was accepted. */
  start(): string;
  part(part: ResponsePart): string;
  /** What a stream gets that is quiet for long. */
  heartbeat(): string;
  /** The last events. Called once, after all parts, also after an error. */
  end(): string;
  /** The body for a client that does not stream. */
  whole(answer: WholeAnswer): object;
}
