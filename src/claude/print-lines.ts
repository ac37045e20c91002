/** What `claude -p --output-format stream-json` writes, as far as an answer depends on it. Pure. */
import { z } from "zod";
import type { Usage } from "../openai/chunks.ts";

export type PrintLine =
  | { readonly type: "text"; readonly text: string }
  /** A part of a message, as claude has kept it. */
  | { readonly type: "said"; readonly message: string; readonly text: string }
  /** What was written of this message does not count; claude asks the model again. */
  | { readonly type: "abandoned"; readonly message: string }
  /** The kind of a failed answer, in the words of the `StopFailure` hook. */
  | { readonly type: "failure"; readonly error: string }
  /** A message is done with: answered, or just taken into the conversation. */
  | {
      readonly type: "result";
      readonly failed: boolean;
      /** The HTTP status with which the API has refused, if it did. */
      readonly status: number | null;
      readonly tooLong: boolean;
      /** What claude says of its failure. An answer stands here only in part. */
      readonly text: string;
      /** The answer that fits the schema, as JSON; null when there is none. */
      readonly structured: string | null;
      readonly usage: Usage;
    }
  /** A sign of life. */
  | { readonly type: "other" };

const tokens = z.number().catch(0);
const line = z.union([
  z.looseObject({
    type: z.literal("stream_event"),
    parent_tool_use_id: z.null().optional(),
    event: z.looseObject({
      type: z.string(),
      delta: z.looseObject({ type: z.string().optional(), text: z.string().optional() }).optional(),
    }),
    abandoned_blocks: z.looseObject({ api_message_id: z.string() }).optional(),
  }),
  z.looseObject({
    type: z.literal("assistant"),
    parent_tool_use_id: z.null().optional(),
    error: z.string().optional(),
    message: z.looseObject({
      id: z.string(),
      content: z.array(z.looseObject({ type: z.string(), text: z.string().optional() })),
    }),
  }),
  z.looseObject({
    type: z.literal("result"),
    is_error: z.boolean(),
    api_error_status: z.number().nullish().catch(null),
    result: z.string().optional(),
    errors: z.array(z.string()).optional(),
    structured_output: z.unknown().optional(),
    terminal_reason: z.string().optional(),
    usage: z.looseObject({
      input_tokens: tokens,
      cache_read_input_tokens: tokens,
      cache_creation_input_tokens: tokens,
      output_tokens: tokens,
    }),
  }),
]);

/** Reads one line. One that is not JSON, as a warning may be, counts as a sign of life. */
export function readPrintLine(json: string): PrintLine {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    // Not one of claude's messages.
    return { type: "other" };
  }
  const read = line.safeParse(value);
  if (!read.success) return { type: "other" };
  const { data } = read;
  switch (data.type) {
    case "stream_event":
      if (data.abandoned_blocks) return { type: "abandoned", message: data.abandoned_blocks.api_message_id };
      if (data.event.type !== "content_block_delta" || data.event.delta?.type !== "text_delta")
        return { type: "other" };
      return { type: "text", text: data.event.delta.text ?? "" };
    case "assistant":
      if (data.error !== undefined) return { type: "failure", error: data.error };
      return {
        type: "said",
        message: data.message.id,
        text: data.message.content.map(({ type, text }) => (type === "text" ? text : "")).join(""),
      };
    case "result": {
      const { input_tokens, cache_read_input_tokens, cache_creation_input_tokens, output_tokens } = data.usage;
      return {
        type: "result",
        failed: data.is_error,
        status: data.api_error_status ?? null,
        tooLong: data.terminal_reason === "prompt_too_long",
        text: data.result ?? data.errors?.join("\n") ?? "",
        structured: data.structured_output === undefined ? null : JSON.stringify(data.structured_output),
        usage: {
          input: input_tokens + cache_read_input_tokens + cache_creation_input_tokens,
          cached: cache_read_input_tokens,
          output: output_tokens,
        },
      };
    }
  }
}
