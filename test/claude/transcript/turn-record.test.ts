/** A turn's exact texts and figures, read from claude's transcript. */
import { describe, expect, test } from "bun:test";
import {
  findCalls,
  findFailure,
  findInterruption,
  findModelCalls,
  findRefusedPrompt,
  findTurn,
} from "../../../src/claude/transcript/turn-record.ts";
import { findSeam } from "../../../src/claude/transcript/turn-texts.ts";
import { answerUsage, totalUsage } from "../../../src/claude/turn-usage.ts";

const prompt = (id: string) => ({
  type: "user",
  message: { role: "user", content: `<channel source="plugin:synthesis:chat" message_id="${id}">\nhi\n</channel>` },
});
const usage = { input_tokens: 10, output_tokens: 5, cache_read_input_tokens: 3, cache_creation_input_tokens: 2 };
const block = (id: string, content: object, more: object = {}) => ({
  type: "assistant",
  message: { id, content: [content], usage },
  ...more,
});
const words = (text: string) => ({ type: "text", text });
const end = { type: "system", subtype: "turn_duration" };
const lines = (...rows: object[]) => rows.map((row) => JSON.stringify(row)).join("\n");

describe("calls of a client's tools", () => {
  const call = (id: string, name = "mcp__plugin_synthesis_chat__t") => ({ type: "tool_use", id, name });
  const jsonl = lines(
    prompt("before"),
    block("m0", call("old")),
    prompt("mine"),
    block("m1", words("hm")),
    block("m1", call("a")),
    block("m1", call("x", "Bash")),
    block("m1", call("b")),
    block("m2", call("c")),
  );
  const cases: [id: string, ids: string[] | null][] = [
    ["a", ["a", "b"]],
    ["b", ["a", "b"]],
    ["c", ["c"]],
    ["x", null],
    ["old", null],
    ["nobody", null],
  ];
  test.each(cases)("%s stands with those of its message", (id, ids) => {
    expect(findCalls(jsonl, "mine", id)).toEqual(ids);
  });
});

describe("a turn", () => {
  test("is the texts behind its prompt, and its messages' figures once each", () => {
    const jsonl = lines(
      prompt("before"),
      block("m0", words("old")),
      end,
      prompt("mine"),
      { type: "attachment", attachment: {} },
      block("m1", { type: "thinking", thinking: "secret" }),
      block("m1", words("ok")),
      block("m1", { type: "tool_use", name: "Bash" }),
      { type: "user", message: { content: [{ type: "tool_result", content: "x" }] } },
      block("m2", words("a")),
      block("m2", words("b")),
      end,
      prompt("after"),
      block("m3", words("new")),
    );
    const record = findTurn(jsonl, "mine");
    expect(record?.texts).toEqual(["ok", "ab"]);
    expect(totalUsage(record?.calls ?? [])).toEqual({ input: 30, cached: 6, output: 10 });
  });

  const incomplete: [what: string, jsonl: string][] = [
    ["is not there", lines(prompt("other"), block("m", words("x")), end)],
    ["has no end yet", lines(prompt("mine"), block("m", words("x")))],
    ["has its end half written", `${lines(prompt("mine"), block("m", words("x")))}\n{"type":"system","subty`],
    ["has only the end of another", lines(end, prompt("mine"), block("m", words("x")))],
  ];
  test.each(incomplete)("is waited for when it %s", (_what, jsonl) => {
    expect(findTurn(jsonl, "mine")).toBeNull();
  });

  test("does not count sub-agents' rows or claude's own error messages", () => {
    const jsonl = lines(
      prompt("mine"),
      block("side", words("aside"), { isSidechain: true }),
      block("error", words("API Error"), { isApiErrorMessage: true }),
      block("m", words("x")),
      end,
    );
    expect(findTurn(jsonl, "mine")?.texts).toEqual(["x"]);
  });
});

describe("the tokens", () => {
  const tool = (id: string, name = "Bash") => ({ type: "tool_use", id, name, input: {} });
  const reply = (final?: boolean) => ({
    type: "tool_use",
    id: `reply ${final}`,
    name: "mcp__plugin_synthesis_chat__reply",
    input: { content: "x", ...(final === undefined ? {} : { final }) },
  });
  /** A row of a call with this number: its input is 100 times that, of which 10 times that is cached. */
  const call = (number: number, content: object, output = number, more: object = {}) => ({
    type: "assistant",
    message: {
      id: `m${number}`,
      content: [content],
      usage: { input_tokens: 90 * number, output_tokens: output, cache_read_input_tokens: 10 * number },
    },
    ...more,
  });
  const error = { ...call(0, words("API Error")), isApiErrorMessage: true };
  const synthetic = { type: "assistant", message: { ...call(0, words("No response")).message, model: "<synthetic>" } };
  const interrupted = { type: "user", message: { content: [{ type: "text", text: "[Request interrupted by user]" }] } };
  const of = (number: number, output: number) => ({ input: 100 * number, cached: 10 * number, output });

  const cases: [what: string, rows: object[], after: string | null, end: string | null, answer: object | null][] = [
    [
      "of an answer are its last call's input and all its output",
      [call(1, tool("a")), call(2, tool("b")), call(3, words("x")), end],
      null,
      null,
      of(3, 6),
    ],
    ["of a message are in its last row", [call(1, words("x"), 1), call(1, words("y"), 7), end], null, null, of(1, 7)],
    [
      "of a subagent do not fill the context",
      [call(1, tool("a")), call(9, words("x"), 9, { isSidechain: true }), end],
      null,
      null,
      of(1, 1),
    ],
    ["of a failed request are none", [call(1, tool("a")), error], null, null, of(1, 1)],
    ["of a message of claude's own are none", [call(1, words("x")), synthetic, end], null, null, of(1, 1)],
    [
      "of an interrupted turn are those so far",
      [call(1, tool("a")), call(2, words("x"), 1), interrupted],
      null,
      null,
      of(2, 2),
    ],
    [
      "of an answer end with the tool use it ends with",
      [call(1, tool("a")), call(2, tool("b")), call(3, words("x"))],
      null,
      "b",
      of(2, 3),
    ],
    [
      "of the next answer begin behind it",
      [call(1, tool("a")), call(2, tool("b")), call(3, words("x")), end],
      "b",
      null,
      of(3, 3),
    ],
    ["of an answer between two", [call(1, tool("a")), call(2, tool("b")), call(3, tool("c"))], "a", "c", of(3, 5)],
    [
      "of an answer with calls of a message that was answered before",
      [call(1, tool("a")), call(1, tool("b"))],
      "a",
      "b",
      of(1, 0),
    ],
    [
      "of an answer behind an unknown tool use cannot be told",
      [call(1, tool("a")), call(2, words("x")), end],
      "z",
      null,
      null,
    ],
    [
      "of an answer end with its final reply",
      [call(1, reply(false)), call(2, reply()), call(3, words("x"))],
      null,
      "final reply",
      of(2, 3),
    ],
    [
      "of an answer end with a reply that says it is final",
      [call(1, reply(true)), call(2, words("x"))],
      null,
      "final reply",
      of(1, 1),
    ],
  ];
  test.each(cases)("%s", (_what, rows, after, last, answer) => {
    const calls = findModelCalls(lines(prompt("mine"), ...rows, prompt("next"), call(5, words("new"))), "mine", last);
    expect(answerUsage(calls ?? [], { after, end: last })).toEqual(answer as never);
  });

  const missing: [what: string, rows: object[], end: string | null][] = [
    ["the tool use that ends the answer is not there", [call(1, tool("a"))], "b"],
    ["the end of the turn is not there", [call(1, words("x"))], null],
    ["only a reply on the way is there", [call(1, reply(false))], "final reply"],
    ["nothing is there", [], null],
  ];
  test.each(missing)("are waited for while %s", (_what, rows, last) => {
    expect(findModelCalls(lines(prompt("mine"), ...rows), "mine", last)).toBeNull();
  });

  test("in all are the sum of every call, subagents' included; none are not zero", () => {
    const rows = [call(1, tool("a")), call(2, words("x"), 2, { isSidechain: true }), error, call(3, words("x")), end];
    expect(totalUsage(findTurn(lines(prompt("mine"), ...rows), "mine")?.calls ?? [])).toEqual(of(6, 6));
    expect(totalUsage([])).toBeNull();
    expect(answerUsage([], { after: null, end: null })).toBeNull();
  });
});

describe("an interruption", () => {
  const mark = (text: string) => ({ type: "user", message: { content: [{ type: "text", text }] } });
  const cases: [what: string, jsonl: string, found: true | null][] = [
    ["is recorded behind the turn's prompt", lines(prompt("mine"), mark("[Request interrupted by user]")), true],
    ["may name a tool", lines(prompt("mine"), mark("[Request interrupted by user for tool use]")), true],
    [
      "of an earlier turn does not count",
      lines(prompt("old"), mark("[Request interrupted by user]"), prompt("mine")),
      null,
    ],
    [
      "of a later turn does not count",
      lines(prompt("mine"), prompt("new"), mark("[Request interrupted by user]")),
      null,
    ],
    [
      "is not what a tool or the user says",
      lines(
        prompt("mine"),
        { type: "user", message: { content: [{ type: "tool_result", content: "[Request interrupted by user]" }] } },
        { type: "user", message: { content: "[Request interrupted by user]" } },
      ),
      null,
    ],
  ];
  test.each(cases)("%s", (_what, jsonl, found) => {
    expect(findInterruption(jsonl, "mine")).toBe(found);
  });
});

describe("where the model was cut", () => {
  const said = (id: string, text: string, stop_reason: string | null = "end_turn") => ({
    type: "assistant",
    message: {
      id,
      stop_reason,
      content: [words(text)],
      usage: { input_tokens: 1, output_tokens: 1 },
    },
  });
  const goOn = { type: "user", message: { content: "Output token limit hit. Resume directly." } };
  const again = { type: "user", message: { content: "The cut fell inside a tool call. Make the call again." } };
  const toolResult = { type: "user", message: { content: [{ type: "tool_result", content: "x" }] } };

  const cases: [what: string, rows: object[], shown: string, isSeam: boolean | null][] = [
    ["by the output limit", [said("a", "uni", "max_tokens"), goOn], "uni", true],
    ["by the context's end", [said("a", "uni", "model_context_window_exceeded"), goOn], "uni", true],
    ["in a pause", [said("a", "uni", "pause_turn"), said("b", "corn")], "uni", true],
    ["inside a tool's call", [said("a", "Look:", "max_tokens"), again], "Look:", false],
    ["by a refusal", [said("a", "uni", "refusal"), goOn], "uni", false],
    ["by nothing: a tool", [said("a", "Look:", "tool_use"), toolResult], "Look:", false],
    ["in the stream, and asked again", [said("a", "It begins, and ends")], "It begins,", true],
    ["twice", [said("a", "u", "max_tokens"), goOn, said("b", "ni", "max_tokens"), goOn], "uni", true],
    ["not recorded", [], "uni", null],
    ["not recorded whole", [said("a", "uni", "max_tokens")], "uni", null],
    ["elsewhere than shown", [said("a", "one two"), said("b", "three")], "zero", false],
  ];
  test.each(cases)("%s", (_what, rows, shown, isSeam) => {
    const found = findSeam(lines(prompt("mine"), ...rows), "mine", shown);
    expect(found?.isSeam ?? null).toBe(isSeam);
  });

  test("both parts are one text of the turn", () => {
    const rows = [said("a", "uni", "max_tokens"), goOn, said("b", "corn", "tool_use"), toolResult, said("c", "ok")];
    expect(findTurn(lines(prompt("mine"), ...rows, end), "mine")?.texts).toEqual(["unicorn", "ok"]);
  });
});

test("a message that a hook has refused is found, whether claude keeps it or not", () => {
  const refusal = (reason: string, promptKept: boolean, content: string) => ({
    type: "system",
    subtype: "informational",
    content,
    promptSubmitEnding: { ending: { kind: "blocked_by_hook", reason }, promptKept },
  });
  const quoted = 'Original prompt: <channel source="x" message_id="mine">';
  expect(findRefusedPrompt(lines(refusal("no", false, quoted)), "mine")).toEqual({ reason: "no", isKept: false });
  expect(findRefusedPrompt(lines(refusal("no", false, "another")), "mine")).toBeNull();
  expect(findRefusedPrompt(lines(prompt("mine"), refusal("no", true, "stopped")), "mine")).toEqual({
    reason: "no",
    isKept: true,
  });
  expect(findRefusedPrompt(lines(prompt("mine"), block("m", words("ok")), end), "mine")).toBeNull();
});

test("a failed turn has its failure and what was said before it", () => {
  const failed = block("e", words("API Error: 529 Overloaded"), {
    isApiErrorMessage: true,
    error: "server_error",
    apiErrorStatus: 529,
  });
  expect(findFailure(lines(prompt("mine"), block("m", words("half")), failed), "mine")).toMatchObject({
    texts: ["half"],
    failure: { kind: "server_error", status: 529 },
  });
  expect(findFailure(lines(prompt("mine"), block("m", words("half"))), "mine")).toBeNull();
});
