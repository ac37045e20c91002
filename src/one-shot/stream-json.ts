/** The events of `claude --print --output-format stream-json`, as far as an answer depends on them. */

import { failureFromText, type ModelFailure, readFailureRow } from "../claude/model-failure.ts";
import { reportedWindows } from "../claude/stream/figures.ts";
import { readModelUsage } from "../claude/stream/model-usage.ts";
import { parseLine, type StreamEventLine, type StreamLine } from "../claude/stream/protocol.ts";
import type { ModelUsage, Usage } from "../core/usage.ts";
import type { ReportedWindow } from "../limits/account.ts";

type LineOf<T extends StreamLine["type"]> = StreamLine & { readonly type: T };

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
      /** What the process has used so far, by model; null when Claude Code does not say. */
      readonly models: readonly ModelUsage[] | null;
    }
  /** Claude Code reports how much of the plan is used. */
  | { readonly type: "limits"; readonly windows: readonly ReportedWindow[] }
  /** Any other line. It only shows that the process is alive. */
  | { readonly type: "other" };

/** Parses one line of output. */
export function parseEvent(text: string): StreamJsonEvent {
  const line = parseLine(text);
  // A subagent's message is no part of the answer.
  if (line === null || ("parent_tool_use_id" in line && line.parent_tool_use_id)) return { type: "other" };
  switch (line.type) {
    case "stream_event":
      return readEvent(line);
    case "system":
      return readRetry(line);
    case "assistant":
      if (line.error !== undefined) {
        return { type: "failure", failure: readFailureRow(line) ?? failureFromText(line.error) };
      }
      return {
        type: "text",
        message: line.message.id,
        text: line.message.content.map(({ type, text }) => (type === "text" ? text : "")).join(""),
      };
    case "result":
      // A result beyond a bound could not be read, so its text is unknown.
      if (line.usage === undefined) return { type: "other" };
      return {
        type: "result",
        failed: line.is_error,
        text: line.result ?? line.errors?.join("\n") ?? "",
        structured: line.structured_output === undefined ? null : JSON.stringify(line.structured_output),
        usage: readUsage(line.usage),
        models: readModelUsage(line),
      };
    case "rate_limit_event":
      return { type: "limits", windows: reportedWindows(line) };
    default:
      return { type: "other" };
  }
}

function readEvent({ event, api_message_id: message = "", abandoned_blocks }: StreamEventLine): StreamJsonEvent {
  if (abandoned_blocks) return { type: "abandoned", message: abandoned_blocks.api_message_id ?? "" };
  const { type, delta } = event;
  if (type === "content_block_delta" && delta?.type === "text_delta") {
    return { type: "tokens", message, text: delta.text ?? "" };
  }
  if (type === "message_delta" && delta?.stop_reason) return { type: "stopped", message, reason: delta.stop_reason };
  return { type: "other" };
}

function readRetry({ subtype, error = "unknown", error_status, retry_delay_ms }: LineOf<"system">): StreamJsonEvent {
  if (subtype !== "api_retry" || retry_delay_ms === undefined) return { type: "other" };
  return {
    type: "retry",
    failure: { ...failureFromText(error), status: error_status ?? null },
    delayMs: retry_delay_ms,
  };
}

function readUsage(usage: NonNullable<LineOf<"result">["usage"]>): Usage {
  const { input_tokens, cache_read_input_tokens, cache_creation_input_tokens, output_tokens } = usage;
  return {
    input: input_tokens + cache_read_input_tokens + cache_creation_input_tokens,
    cached: cache_read_input_tokens,
    output: output_tokens,
  };
}
