/** How the lines that `claude --print` writes are understood. */
import { describe, expect, test } from "bun:test";
import { parseEvent } from "../../src/one-shot/stream-json.ts";

const streamed = (event: object) => ({ type: "stream_event", api_message_id: "m", event });
const usage = {
  input_tokens: 1,
  cache_read_input_tokens: 2,
  cache_creation_input_tokens: 3,
  output_tokens: 4,
};

describe("a line is parsed as", () => {
  const cases: [what: string, line: object, event: object][] = [
    [
      "tokens",
      streamed({ type: "content_block_delta", delta: { type: "text_delta", text: "hi" } }),
      { type: "tokens", message: "m", text: "hi" },
    ],
    [
      "nothing, while the model thinks",
      streamed({ type: "content_block_delta", delta: { type: "thinking_delta" } }),
      { type: "other" },
    ],
    [
      "the end of a message",
      streamed({ type: "message_delta", delta: { stop_reason: "max_tokens" } }),
      { type: "stopped", message: "m", reason: "max_tokens" },
    ],
    [
      "an abandoned message",
      { ...streamed({ type: "ping" }), abandoned_blocks: { api_message_id: "old" } },
      { type: "abandoned", message: "old" },
    ],
    [
      "a complete text",
      { type: "assistant", message: { id: "m", content: [{ type: "text", text: "hi" }, { type: "thinking" }] } },
      { type: "text", message: "m", text: "hi" },
    ],
    [
      "a retry",
      { type: "system", subtype: "api_retry", retry_delay_ms: 500, error_status: 529, error: "overloaded" },
      { type: "retry", delayMs: 500, failure: { kind: "overloaded", status: 529 } },
    ],
    [
      "a failure",
      { type: "assistant", error: "rate_limit", message: { id: "m", content: [{ type: "text", text: "Slow down." }] } },
      { type: "failure", failure: { kind: "rate_limit", message: "Slow down." } },
    ],
    [
      "a result",
      { type: "result", is_error: false, result: "hi", usage },
      { type: "result", failed: false, text: "hi", structured: null, usage: { input: 6, cached: 2, output: 4 } },
    ],
    [
      "a result with a structured answer",
      { type: "result", is_error: false, structured_output: { a: 1 }, usage },
      { type: "result", structured: '{"a":1}' },
    ],
    [
      "nothing, when it belongs to a sub-agent",
      { ...streamed({ type: "ping" }), parent_tool_use_id: "t" },
      { type: "other" },
    ],
  ];
  test.each(cases)("%s", (_what, line, event) => {
    expect(parseEvent(JSON.stringify(line))).toMatchObject(event);
  });

  test("nothing, when it is not JSON", () => {
    expect(parseEvent("Warning: something")).toEqual({ type: "other" });
    expect(parseEvent("[".repeat(10_000))).toEqual({ type: "other" });
  });
});
