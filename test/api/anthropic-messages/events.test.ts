/** Answers in the shape of Anthropic's Messages API. */
import { describe, expect, test } from "bun:test";
import type Anthropic from "@anthropic-ai/sdk";
import { messageWriter } from "../../../src/api/anthropic-messages/events.ts";
import { RequestError } from "../../../src/core/errors.ts";
import type { ResponsePart } from "../../../src/core/response-part.ts";

const usage: ResponsePart = { type: "usage", usage: { input: 10, cached: 4, output: 3 } };
const call = (id: string, json: string) => ({ id, name: "look", arguments: json });

/** The events of a stream with these parts, each as its type and what matters of it. */
function events(parts: readonly ResponsePart[], showsProgress = false): [type: string, rest: unknown][] {
  const writer = messageWriter("opus", showsProgress);
  const written = [writer.start(), ...parts.map((part) => writer.part(part)), writer.end()].join("");
  return written
    .split("\n\n")
    .filter(Boolean)
    .map((text) => {
      const [, name = "", json = ""] = /^event: (\w+)\ndata: (.*)$/.exec(text) ?? [];
      const data = JSON.parse(json) as Anthropic.RawMessageStreamEvent & Record<string, unknown>;
      expect(data.type).toBe(name as typeof data.type);
      return [name, data.delta ?? data.content_block ?? data.error ?? data.index];
    });
}
const begun = ["message_start", undefined];
const ended = (reason: string) => [
  ["message_delta", expect.objectContaining({ stop_reason: reason, stop_sequence: null })],
  ["message_stop", undefined],
];
const text = (delta: string) => ["content_block_delta", { type: "text_delta", text: delta }];
const started = (block: object) => ["content_block_start", expect.objectContaining(block)];

describe("a stream has the events of", () => {
  test("a text", () => {
    expect(events([{ type: "text", text: "a" }, { type: "text", text: "b" }, { type: "finish" }, usage])).toEqual([
      begun,
      started({ type: "text", text: "" }),
      text("a"),
      text("b"),
      ["content_block_stop", 0],
      ...ended("end_turn"),
    ] as never);
  });

  test("calls after a text, each a block of its own", () => {
    const calls = [call("t1", '{"at":1}'), call("t2", "not JSON")];
    expect(events([{ type: "text", text: "a" }, { type: "calls", calls }, usage])).toEqual([
      begun,
      started({ type: "text" }),
      text("a"),
      ["content_block_stop", 0],
      started({ type: "tool_use", id: "t1", name: "look", input: {} }),
      ["content_block_delta", { type: "input_json_delta", partial_json: '{"at":1}' }],
      ["content_block_stop", 1],
      started({ type: "tool_use", id: "t2" }),
      ["content_block_delta", { type: "input_json_delta", partial_json: '{"input":"not JSON"}' }],
      ["content_block_stop", 2],
      ...ended("tool_use"),
    ] as never);
  });

  test("progress, only where the client expects thinking", () => {
    const parts: ResponsePart[] = [
      { type: "progress", text: "Read: a" },
      { type: "text", text: "b" },
      { type: "finish" },
    ];
    expect(events(parts, true).slice(1, 4)).toEqual([
      started({ type: "thinking" }),
      ["content_block_delta", { type: "thinking_delta", thinking: "Read: a" }],
      ["content_block_stop", 0],
    ] as never);
    expect(events(parts).flat()).not.toContain("thinking_delta");
  });

  test("an answer that was cut off, and one without a text", () => {
    expect(events([{ type: "finish", reason: "length" }]).slice(1)).toEqual([
      started({ type: "text" }),
      text(""),
      ["content_block_stop", 0],
      ...ended("max_tokens"),
    ] as never);
    expect(
      events([
        { type: "text", text: "no" },
        { type: "finish", reason: "content_filter" },
      ]).slice(-2),
    ).toEqual(ended("refusal") as never);
  });

  test("an error, which ends it", () => {
    const error = new RequestError("claude_exited", "It exited.");
    expect(
      events([
        { type: "text", text: "a" },
        { type: "error", error },
      ]).slice(-2),
    ).toEqual([
      ["content_block_stop", 0],
      ["error", { type: "api_error", message: "It exited.", code: "claude_exited" }],
    ] as never);
  });
});

test("the usage is in message_delta, and cached tokens are counted apart", () => {
  const writer = messageWriter("opus", false);
  for (const part of [{ type: "finish" }, usage] as ResponsePart[]) writer.part(part);
  expect(writer.end()).toContain(
    '"usage":{"input_tokens":6,"cache_read_input_tokens":4,"cache_creation_input_tokens":0,"output_tokens":3',
  );
});

test("a whole message has the same blocks", () => {
  const whole = (more: object) =>
    messageWriter("opus", true).whole({ text: "a", progress: "Read", calls: [], cutOff: null, usage: null, ...more });
  expect(whole({})).toMatchObject({
    type: "message",
    model: "opus",
    content: [
      { type: "thinking", thinking: "Read" },
      { type: "text", text: "a" },
    ],
    stop_reason: "end_turn",
  });
  expect(whole({ text: "", progress: "", calls: [call("t1", '{"at":1}')] })).toMatchObject({
    content: [{ type: "tool_use", id: "t1", name: "look", input: { at: 1 } }],
    stop_reason: "tool_use",
  });
  expect(whole({ text: "", progress: "", cutOff: "length" })).toMatchObject({
    content: [{ type: "text", text: "" }],
    stop_reason: "max_tokens",
  });
});
