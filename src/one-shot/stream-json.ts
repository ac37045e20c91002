/** What `claude -p --output-format stream-json` writes, as far as an answer depends on it. Pure. */

import { z } from "zod";
import { failureFromHook, type ModelFailure, readFailureRow } from "../claude/model-failure.ts";
import { parseJson } from "../core/json-gate.ts";
import type { Usage } from "../core/usage.ts";

export type StreamJsonEvent =
  | { readonly type: "text"; readonly message: string; readonly text: string }
  /** A part of a message, as claude has kept it. */
  | { readonly type: "said"; readonly message: string; readonly text: string }
  /** What was written of this message does not count; claude asks the model again. */
  | { readonly type: "abandoned"; readonly message: string }
  /** Why the model has ended this message. */
  | { readonly type: "ended"; readonly message: string; readonly reason: string }
  /** The model request has failed for good. */
  | { readonly type: "failure"; readonly failure: ModelFailure }
  /** It has failed, and claude makes it again after a while. */
  | { readonly type: "retry"; readonly failure: ModelFailure; readonly delayMs: number }
  /** A message is done with: answered, or just taken into the conversation. */
  | {
      readonly type: "result";
      readonly failed: boolean;
      /** What claude says of its failure. An answer stands here only in part. */
      readonly text: string;
      /** The answer that fits the schema, as JSON; null when there is none. */
      readonly structured: string | null;
      readonly usage: Usage;
    }
  /** A sign of life. */
  | { readonly type: "other" };

const tokens = z.number().catch(0);
const streamEvent = z.looseObject({
  type: z.literal("stream_event"),
  parent_tool_use_id: z.null().optional(),
  event: z.looseObject({
    type: z.string(),
    delta: z
      .looseObject({
        type: z.string().optional(),
        text: z.string().optional(),
        stop_reason: z.string().nullish(),
      })
      .optional(),
  }),
  api_message_id: z.string().optional(),
  abandoned_blocks: z.looseObject({ api_message_id: z.string() }).optional(),
});
const line = z.union([
  streamEvent,
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
    result: z.string().optional(),
    errors: z.array(z.string()).optional(),
    structured_output: z.unknown().optional(),
    usage: z.looseObject({
      input_tokens: tokens,
      cache_read_input_tokens: tokens,
      cache_creation_input_tokens: tokens,
      output_tokens: tokens,
    }),
  }),
  z.looseObject({
    type: z.literal("system"),
    subtype: z.literal("api_retry"),
    retry_delay_ms: z.number(),
    error_status: z.number().nullish().catch(null),
    error: z.string().catch("unknown"),
  }),
]);

function readEvent({ event, api_message_id: message = "" }: z.infer<typeof streamEvent>): StreamJsonEvent {
  const { type, delta } = event;
  if (type === "content_block_delta" && delta?.type === "text_delta") {
    return { type: "text", message, text: delta.text ?? "" };
  }
  if (type === "message_delta" && delta?.stop_reason) return { type: "ended", message, reason: delta.stop_reason };
  return { type: "other" };
}

/** Reads one line. One that is not JSON, as a warning may be, counts as a sign of life. */
export function parseEvent(json: string): StreamJsonEvent {
  let value: unknown;
  try {
    value = parseJson(json);
  } catch {
    // Beyond a bound, or not one of claude's messages.
    return { type: "other" };
  }
  const read = line.safeParse(value);
  if (!read.success) return { type: "other" };
  const { data } = read;
  switch (data.type) {
    case "stream_event":
      if (data.abandoned_blocks) return { type: "abandoned", message: data.abandoned_blocks.api_message_id };
      return readEvent(data);
    case "system":
      return {
        type: "retry",
        failure: { ...failureFromHook(data.error), status: data.error_status ?? null },
        delayMs: data.retry_delay_ms,
      };
    case "assistant":
      if (data.error !== undefined) {
        return { type: "failure", failure: readFailureRow(data) ?? failureFromHook(data.error) };
      }
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
