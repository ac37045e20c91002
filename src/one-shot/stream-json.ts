/** The events of `claude --print --output-format stream-json`, as far as an answer depends on them. */

import { z } from "zod";
import { failureFromText, type ModelFailure, readFailureRow } from "../claude/model-failure.ts";
import { parseJson } from "../core/json-gate.ts";
import type { Usage } from "../core/usage.ts";

export type StreamJsonEvent =
  /** The model has written more of a message. */
  | { readonly type: "tokens"; readonly message: string; readonly text: string }
  /** A part of a message is complete. */
  | { readonly type: "text"; readonly message: string; readonly text: string }
  /** The connection broke while the model wrote this message; Claude Code makes the request again. */
  | { readonly type: "abandoned"; readonly message: string }
  /** The model has stopped writing this message. */
  | { readonly type: "stopped"; readonly message: string; readonly reason: string }
  /** The request to the model has failed for good. */
  | { readonly type: "failure"; readonly failure: ModelFailure }
  /** The request to the model has failed; Claude Code makes it again after `delayMs`. */
  | { readonly type: "retry"; readonly failure: ModelFailure; readonly delayMs: number }
  /** Claude Code has finished with a message: it is answered, or was only added to the conversation. */
  | {
      readonly type: "result";
      readonly failed: boolean;
      /** Claude Code's text about a failure. Of an answer of several messages it has only the last. */
      readonly text: string;
      /** The answer that fits the requested schema, as JSON; null when no schema was requested. */
      readonly structured: string | null;
      readonly usage: Usage;
    }
  /** Any other line. It only shows that the process is alive. */
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
const lineSchema = z.union([
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
    return { type: "tokens", message, text: delta.text ?? "" };
  }
  if (type === "message_delta" && delta?.stop_reason) return { type: "stopped", message, reason: delta.stop_reason };
  return { type: "other" };
}

/** Parses one line of output. */
export function parseEvent(text: string): StreamJsonEvent {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch {
    // A warning in plain text, or JSON beyond a bound.
    return { type: "other" };
  }
  const read = lineSchema.safeParse(value);
  if (!read.success) return { type: "other" };
  const { data } = read;
  switch (data.type) {
    case "stream_event":
      if (data.abandoned_blocks) return { type: "abandoned", message: data.abandoned_blocks.api_message_id };
      return readEvent(data);
    case "system":
      return {
        type: "retry",
        failure: { ...failureFromText(data.error), status: data.error_status ?? null },
        delayMs: data.retry_delay_ms,
      };
    case "assistant":
      if (data.error !== undefined) {
        return { type: "failure", failure: readFailureRow(data) ?? failureFromText(data.error) };
      }
      return {
        type: "text",
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
