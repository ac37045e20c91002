/**
 * What synthesis adds to OpenAI's answers. Everything else in an answer has the shape that OpenAI documents, which the
 * types of the `openai` package check. They are imported as types only: the package is not needed at run time.
 */
import type OpenAI from "openai";

interface Reasoning {
  /** What Claude does before it answers. DeepSeek and others stream a model's reasoning by this name. */
  reasoning_content?: string;
}

export type Delta = OpenAI.ChatCompletionChunk.Choice.Delta & Reasoning;

export type Message = OpenAI.ChatCompletionMessage & Reasoning;

/**
 * An error in a stream. OpenAI documents errors only as responses with an error status. Its libraries also find them
 * among the chunks of a stream, and throw.
 */
export interface ErrorEvent {
  readonly error: OpenAI.ErrorObject;
}
