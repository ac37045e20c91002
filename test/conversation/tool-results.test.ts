/** Which results in a request belong to which calls, and how Claude receives them. */
import { describe, expect, test } from "bun:test";
import { isAnswerTo, splitToolResults, toolResults } from "../../src/conversation/tool-results.ts";
import { clientCallId } from "../../src/core/tools.ts";
import { readInput } from "../../src/intake/input.ts";
import { MAX_FRAME_BYTES } from "../../src/wire/frames.ts";
import { parsedRequest } from "../support/parsed-request.ts";

const TURN = "turn";
const names = ["a", "b"];
const calls = { turn: TURN, ids: names };
const clientId = (id: string) => clientCallId(TURN, id);
const assistant = {
  role: "assistant",
  content: "",
  tool_calls: names.map((id) => ({ id: clientId(id), type: "function", function: { name: id, arguments: "{}" } })),
};
const result = (id: string, content: unknown = `result ${id}`) => ({
  role: "tool",
  tool_call_id: clientId(id),
  content,
});
const user = { role: "user", content: "hello" };
const read = (...messages: object[]) => readInput(parsedRequest({ messages: [user, assistant, ...messages] }));
const split = (input: ReturnType<typeof read>, ids = names) => {
  const { results, rest } = splitToolResults(input.messages, { turn: TURN, ids });
  return [[...results].map(([id, { text }]) => [id, text]), rest.map(({ text }) => text)] as unknown;
};

describe("results are matched", () => {
  test("by the ids of their calls, in any order", () => {
    expect(split(read(result("b"), result("a")))).toEqual([
      [
        ["b", "result b"],
        ["a", "result a"],
      ],
      [],
    ]);
  });

  test("once for each call: the first counts", () => {
    expect(split(read(result("a", "first"), result("a", "second")))).toEqual([[["a", "first"]], []]);
  });

  test("only for calls that wait, and other messages stay", () => {
    expect(split(read(result("a"), user), ["b"])).toEqual([[], ["result a", "hello"]]);
  });

  test("only for calls of their turn", () => {
    const other = { ...result("a"), tool_call_id: clientCallId("another turn", "a") };
    expect(split(read(other))).toEqual([[], ["result a"]]);
  });

  test("without an id to the only call that waits", () => {
    const old = { role: "tool", tool_call_id: "", content: "sunny" };
    expect(split(read(old), ["a"])).toEqual([[["a", "sunny"]], []]);
    expect(split(read(old))).toEqual([[], ["sunny"]]);
  });
});

test("a request answers the calls when it has one of their results and no user message", () => {
  expect(isAnswerTo(read(result("a")), calls)).toBe(true);
  expect(isAnswerTo(read(result("a"), user), calls)).toBe(false);
  expect(isAnswerTo(read(result("c")), calls)).toBe(false);
  expect(isAnswerTo(read(), calls)).toBe(false);
});

describe("Claude receives", () => {
  const receive = (input: ReturnType<typeof read>, context = "") => {
    const saved: [bytes: number, extension: string][] = [];
    const results = toolResults(splitToolResults(input.messages, calls), context, (bytes, extension) => {
      saved.push([bytes.length, extension]);
      return `/saved.${extension}`;
    });
    return { results, saved };
  };

  test("the text of a result", () => {
    const { results } = receive(read(result("a")));
    expect(results.get("a")).toEqual({ content: [{ type: "text", text: "result a" }], isError: false });
  });

  test("the client's context with the last result", () => {
    const { results } = receive(read(result("a"), result("b")), "It is Monday.");
    expect(results.get("a")?.content).toHaveLength(1);
    expect(results.get("b")?.content.at(-1)).toEqual({
      type: "text",
      text: "<context>\nIt is Monday.\n</context>",
    });
  });

  test("the path of a file instead of a text that does not fit into a frame", () => {
    const { results, saved } = receive(read(result("a", "x".repeat(MAX_FRAME_BYTES))));
    expect(results.get("a")?.content).toEqual([{ type: "text", text: expect.stringContaining("/saved.txt") }]);
    expect(saved).toEqual([[MAX_FRAME_BYTES, "txt"]]);
  });

  test("everything in the result if it cannot read files", () => {
    const text = "x".repeat(MAX_FRAME_BYTES);
    const file = {
      type: "file",
      file: { filename: "a.pdf", file_data: `data:application/pdf;base64,${btoa("%PDF-1.4")}` },
    };
    const input = read(result("a", [{ type: "text", text }, file]));
    const { content } = toolResults(splitToolResults(input.messages, calls), "", null).get("a") ?? {};
    expect(content).toEqual([
      { type: "text", text },
      { type: "text", text: "[The file a.pdf cannot be shown here]" },
    ]);
  });

  test("an empty text for a result without content", () => {
    expect(receive(read(result("a", ""))).results.get("a")?.content).toEqual([{ type: "text", text: "" }]);
  });
});
