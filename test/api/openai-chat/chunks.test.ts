/** Answers as chunks and as completions, in the shapes of OpenAI's reference. */
import { describe, expect, test } from "bun:test";
import type OpenAI from "openai";
import type { WholeAnswer } from "../../../src/api/answer-writer.ts";
import { completion } from "../../../src/api/openai-chat/chunks.ts";

const CALL = { id: "call1", name: "look", arguments: '{"a":1}' };
const USAGE = { input: 5, cached: 3, output: 2 };
const chunks = (events: string): OpenAI.ChatCompletionChunk[] =>
  [...events.matchAll(/^data: (.*)\n\n/gm)].map(([, json]) => JSON.parse(json ?? ""));
const parsed = (events: string) => chunks(events)[0] as OpenAI.ChatCompletionChunk;
const choiceOf = (events: string) => parsed(events).choices[0];
const answer = (includeUsage = false, usesFunctions = false) =>
  completion(1_700_000_000, "m", includeUsage, usesFunctions);
const WHOLE = { text: "hi", progress: "", calls: [], cutOff: null, usage: null } as const;
const whole = (parts: WholeAnswer) => answer().whole(parts) as OpenAI.ChatCompletion;
const HI = { type: "text", text: "hi" } as const;

describe("a chunk", () => {
  test("has the completion's id, time and model", () => {
    const { start, part } = answer();
    const [first, second] = [parsed(start()), parsed(part(HI))];
    expect(first).toMatchObject({ object: "chat.completion.chunk", created: 1_700_000_000, model: "m" });
    expect(second.id).toBe(first.id);
    expect(first).not.toHaveProperty("usage");
  });

  test("has a null usage when the client asked for the usage, which comes in the last one", () => {
    const { part } = answer(true);
    expect(parsed(part(HI)).usage).toBeNull();
    expect(parsed(part({ type: "usage", usage: USAGE }))).toMatchObject({
      choices: [],
      usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7, prompt_tokens_details: { cached_tokens: 3 } },
    });
  });

  test("carries progress as reasoning", () => {
    expect(choiceOf(answer().part({ type: "progress", text: "Reading" }))?.delta).toEqual({
      reasoning_content: "Reading",
    } as object);
  });

  test("carries tool calls with their index, and a second one ends the answer", () => {
    const [calls, end] = chunks(answer().part({ type: "calls", calls: [CALL, { ...CALL, id: "call2" }] }));
    expect(calls?.choices[0]?.delta.tool_calls).toEqual([
      { index: 0, id: "call1", type: "function", function: { name: "look", arguments: '{"a":1}' } },
      { index: 1, id: "call2", type: "function", function: { name: "look", arguments: '{"a":1}' } },
    ]);
    expect(end?.choices[0]?.finish_reason).toBe("tool_calls");
  });

  test("carries one call without an id for the API before tools", () => {
    const [call, end] = chunks(answer(false, true).part({ type: "calls", calls: [CALL] }));
    expect(call?.choices[0]?.delta).toEqual({ function_call: { name: "look", arguments: '{"a":1}' } });
    expect(end?.choices[0]?.finish_reason).toBe("function_call");
  });
});

describe("a whole completion", () => {
  test("has the text and the reason of its end", () => {
    expect(whole(WHOLE)).toMatchObject({
      object: "chat.completion",
      choices: [{ index: 0, message: { role: "assistant", content: "hi", refusal: null }, finish_reason: "stop" }],
    });
  });

  test("has no content when it has only calls", () => {
    const { choices } = whole({ ...WHOLE, text: "", calls: [CALL] });
    expect(choices[0]).toMatchObject({ message: { content: null }, finish_reason: "tool_calls" });
  });

  test("has progress and usage only if there are any", () => {
    const { choices, usage } = whole(WHOLE);
    expect([choices[0]?.message, usage]).toEqual([{ role: "assistant", content: "hi", refusal: null }, undefined]);
    const full = whole({ ...WHOLE, progress: "Reading", usage: USAGE });
    expect(full).toMatchObject({
      choices: [{ message: { reasoning_content: "Reading" } }],
      usage: { total_tokens: 7 },
    });
  });
});
