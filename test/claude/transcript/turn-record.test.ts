import { describe, expect, test } from "bun:test";
import { answerUsage, usageByModel } from "../../../src/claude/token-usage.ts";
import {
  findCalls,
  findFailure,
  findInterruption,
  findModelCalls,
  findRefusedPrompt,
  findTurn,
} from "../../../src/claude/transcript/turn-record.ts";
import { findSeam } from "../../../src/claude/transcript/turn-texts.ts";

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
const textBlock = (text: string) => ({ type: "text", text });
const end = { type: "system", subtype: "turn_duration" };
const lines = (...rows: object[]) => rows.map((row) => JSON.stringify(row)).join("\n");

describe("findCalls", () => {
  const call = (id: string, name = "mcp__plugin_synthesis_chat__t") => ({ type: "tool_use", id, name });
  const jsonl = lines(
    prompt("before"),
    block("m0", call("old")),
    prompt("mine"),
    block("m1", textBlock("hm")),
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
    ["unknown", null],
  ];
  test.each(cases)("finds the calls of the client's tools in the message of call %s", (id, ids) => {
    expect(findCalls(jsonl, "mine", id)).toEqual(ids);
  });
});

describe("findTurn", () => {
  test("finds the texts after the prompt, and counts the usage of each message once", () => {
    const jsonl = lines(
      prompt("before"),
      block("m0", textBlock("old")),
      end,
      prompt("mine"),
      { type: "attachment", attachment: {} },
      block("m1", { type: "thinking", thinking: "secret" }),
      block("m1", textBlock("ok")),
      block("m1", { type: "tool_use", name: "Bash" }),
      { type: "user", message: { content: [{ type: "tool_result", content: "x" }] } },
      block("m2", textBlock("a")),
      block("m2", textBlock("b")),
      end,
      prompt("after"),
      block("m3", textBlock("new")),
    );
    const record = findTurn(jsonl, "mine");
    expect(record?.texts).toEqual(["ok", "ab"]);
    expect(usageByModel(record?.calls ?? [])).toMatchObject([
      { calls: 2, input: 20, cacheRead: 6, cacheWrite: 4, output: 10 },
    ]);
  });

  const incomplete: [what: string, jsonl: string][] = [
    ["has no prompt", lines(prompt("other"), block("m", textBlock("x")), end)],
    ["has no end row yet", lines(prompt("mine"), block("m", textBlock("x")))],
    ["has a half-written end row", `${lines(prompt("mine"), block("m", textBlock("x")))}\n{"type":"system","subty`],
    ["has only the end row of another turn", lines(end, prompt("mine"), block("m", textBlock("x")))],
  ];
  test.each(incomplete)("finds nothing while the transcript %s", (_what, jsonl) => {
    expect(findTurn(jsonl, "mine")).toBeNull();
  });

  test("finds everything of a turn whose prompt is recorded again after a compaction", () => {
    const boundary = { type: "system", subtype: "compact_boundary" };
    const summary = { type: "user", message: { content: "This session is being continued from a previous one." } };
    const jsonl = lines(prompt("mine"), boundary, summary, prompt("mine"), block("m1", textBlock("new")), end);

    expect(findTurn(jsonl, "mine")).toMatchObject({ texts: ["new"], calls: [{ usage: { output: 5 } }] });
  });

  test("leaves out the texts of sub-agents and Claude Code's error messages", () => {
    const jsonl = lines(
      prompt("mine"),
      block("side", textBlock("aside"), { isSidechain: true }),
      block("error", textBlock("API Error"), { isApiErrorMessage: true }),
      block("m", textBlock("x")),
      end,
    );
    expect(findTurn(jsonl, "mine")?.texts).toEqual(["x"]);
  });
});

describe("the tokens of an answer", () => {
  const tool = (id: string, name = "Bash") => ({ type: "tool_use", id, name, input: {} });
  const reply = (final?: boolean) => ({
    type: "tool_use",
    id: `reply ${final}`,
    name: "mcp__plugin_synthesis_chat__reply",
    input: { content: "x", ...(final === undefined ? {} : { final }) },
  });
  /** A row of the call with this number. Its input is 100 times the number, of which 10 times the number is cached. */
  const call = (number: number, content: object, output = number, more: object = {}) => ({
    type: "assistant",
    message: {
      id: `m${number}`,
      content: [content],
      usage: { input_tokens: 90 * number, output_tokens: output, cache_read_input_tokens: 10 * number },
    },
    ...more,
  });
  const error = { ...call(0, textBlock("API Error")), isApiErrorMessage: true };
  const synthetic = {
    type: "assistant",
    message: { ...call(0, textBlock("No response")).message, model: "<synthetic>" },
  };
  const interrupted = { type: "user", message: { content: [{ type: "text", text: "[Request interrupted by user]" }] } };
  const of = (number: number, output: number) => ({ input: 100 * number, cached: 10 * number, output });

  const cases: [what: string, rows: object[], after: string | null, end: string | null, answer: object | null][] = [
    [
      "are the input of its last call and the output of all its calls",
      [call(1, tool("a")), call(2, tool("b")), call(3, textBlock("x")), end],
      null,
      null,
      of(3, 6),
    ],
    [
      "are taken from the last row of a message",
      [call(1, textBlock("x"), 1), call(1, textBlock("y"), 7), end],
      null,
      null,
      of(1, 7),
    ],
    [
      "do not include calls of a sub-agent",
      [call(1, tool("a")), call(9, textBlock("x"), 9, { isSidechain: true }), end],
      null,
      null,
      of(1, 1),
    ],
    ["do not include a failed request", [call(1, tool("a")), error], null, null, of(1, 1)],
    ["do not include a message of Claude Code itself", [call(1, textBlock("x")), synthetic, end], null, null, of(1, 1)],
    [
      "are counted up to an interruption",
      [call(1, tool("a")), call(2, textBlock("x"), 1), interrupted],
      null,
      null,
      of(2, 2),
    ],
    [
      "are counted up to the tool use that ends it",
      [call(1, tool("a")), call(2, tool("b")), call(3, textBlock("x"))],
      null,
      "b",
      of(2, 3),
    ],
    [
      "are counted from after the tool use that ended the previous answer",
      [call(1, tool("a")), call(2, tool("b")), call(3, textBlock("x")), end],
      "b",
      null,
      of(3, 3),
    ],
    [
      "are counted between two tool uses",
      [call(1, tool("a")), call(2, tool("b")), call(3, tool("c"))],
      "a",
      "c",
      of(3, 5),
    ],
    [
      "have no new output if its calls are in a message that an earlier answer counted",
      [call(1, tool("a")), call(1, tool("b"))],
      "a",
      "b",
      of(1, 0),
    ],
    ["are unknown after an unknown tool use", [call(1, tool("a")), call(2, textBlock("x")), end], "z", null, null],
    [
      "are counted up to its final reply",
      [call(1, reply(false)), call(2, reply()), call(3, textBlock("x"))],
      null,
      "final reply",
      of(2, 3),
    ],
    [
      "are counted up to a reply that is marked as final",
      [call(1, reply(true)), call(2, textBlock("x"))],
      null,
      "final reply",
      of(1, 1),
    ],
  ];
  test.each(cases)("%s", (_what, rows, after, last, answer) => {
    const calls = findModelCalls(
      lines(prompt("mine"), ...rows, prompt("next"), call(5, textBlock("new"))),
      "mine",
      last,
    );
    expect(answerUsage(calls ?? [], { after, end: last })).toEqual(answer as never);
  });

  const missing: [what: string, rows: object[], end: string | null][] = [
    ["the tool use that ends the answer is missing", [call(1, tool("a"))], "b"],
    ["the end of the turn is missing", [call(1, textBlock("x"))], null],
    ["there is only a partial reply", [call(1, reply(false))], "final reply"],
    ["there is no row yet", [], null],
  ];
  test.each(missing)("are unknown while %s", (_what, rows, last) => {
    expect(findModelCalls(lines(prompt("mine"), ...rows), "mine", last)).toBeNull();
  });

  test("of a whole turn are the sum of all calls, sub-agents included, and null if there are no calls", () => {
    const rows = [
      call(1, tool("a")),
      call(2, textBlock("x"), 2, { isSidechain: true }),
      error,
      call(3, textBlock("x")),
      end,
    ];
    expect(usageByModel(findTurn(lines(prompt("mine"), ...rows), "mine")?.calls ?? [])).toMatchObject([
      { calls: 3, output: 6 },
    ]);
    expect(usageByModel([])).toEqual([]);
    expect(answerUsage([], { after: null, end: null })).toBeNull();
  });
});

describe("findInterruption", () => {
  const mark = (text: string) => ({ type: "user", message: { content: [{ type: "text", text }] } });
  const cases: [what: string, jsonl: string, found: true | null][] = [
    ["finds the row after the turn's prompt", lines(prompt("mine"), mark("[Request interrupted by user]")), true],
    [
      "finds a row that mentions a tool",
      lines(prompt("mine"), mark("[Request interrupted by user for tool use]")),
      true,
    ],
    ["ignores an earlier turn", lines(prompt("old"), mark("[Request interrupted by user]"), prompt("mine")), null],
    ["ignores a later turn", lines(prompt("mine"), prompt("new"), mark("[Request interrupted by user]")), null],
    [
      "ignores the same text from a tool or from the user",
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

describe("findSeam", () => {
  const said = (id: string, text: string, stop_reason: string | null = "end_turn") => ({
    type: "assistant",
    message: {
      id,
      stop_reason,
      content: [textBlock(text)],
      usage: { input_tokens: 1, output_tokens: 1 },
    },
  });
  const continuation = { type: "user", message: { content: "Output token limit hit. Resume directly." } };
  const retryOfCall = { type: "user", message: { content: "The cut fell inside a tool call. Make the call again." } };
  const toolResult = { type: "user", message: { content: [{ type: "tool_result", content: "x" }] } };

  const cases: [what: string, rows: object[], shown: string, isSeam: boolean | null][] = [
    ["finds a text that was cut at the output limit", [said("a", "uni", "max_tokens"), continuation], "uni", true],
    [
      "finds a text that was cut at the end of the context",
      [said("a", "uni", "model_context_window_exceeded"), continuation],
      "uni",
      true,
    ],
    ["finds a text that was cut by a pause", [said("a", "uni", "pause_turn"), said("b", "corn")], "uni", true],
    ["finds no cut text if a tool call was cut", [said("a", "Look:", "max_tokens"), retryOfCall], "Look:", false],
    ["finds no cut text before a refusal", [said("a", "uni", "refusal"), continuation], "uni", false],
    ["finds no cut text before a tool use", [said("a", "Look:", "tool_use"), toolResult], "Look:", false],
    [
      "finds a text whose stream broke off and that was requested again",
      [said("a", "It begins, and ends")],
      "It begins,",
      true,
    ],
    [
      "finds a text that was cut twice",
      [said("a", "u", "max_tokens"), continuation, said("b", "ni", "max_tokens"), continuation],
      "uni",
      true,
    ],
    ["knows nothing while no text is recorded", [], "uni", null],
    ["knows nothing while the reason is not complete", [said("a", "uni", "max_tokens")], "uni", null],
    ["finds no cut text if another text was shown", [said("a", "one two"), said("b", "three")], "zero", false],
  ];
  test.each(cases)("%s", (_what, rows, shown, isSeam) => {
    const found = findSeam(lines(prompt("mine"), ...rows), "mine", shown);
    expect(found?.isSeam ?? null).toBe(isSeam);
  });

  test("findTurn joins a text that was cut with its continuation", () => {
    const rows = [
      said("a", "uni", "max_tokens"),
      continuation,
      said("b", "corn", "tool_use"),
      toolResult,
      said("c", "ok"),
    ];
    expect(findTurn(lines(prompt("mine"), ...rows, end), "mine")?.texts).toEqual(["unicorn", "ok"]);
  });
});

test("findRefusedPrompt finds a message that a hook rejected, whether Claude keeps it or not", () => {
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
  expect(findRefusedPrompt(lines(prompt("mine"), block("m", textBlock("ok")), end), "mine")).toBeNull();
});

test("findFailure finds the failure of a turn and the texts before it", () => {
  const failed = block("e", textBlock("API Error: 529 Overloaded"), {
    isApiErrorMessage: true,
    error: "server_error",
    apiErrorStatus: 529,
  });
  expect(findFailure(lines(prompt("mine"), block("m", textBlock("half")), failed), "mine")).toMatchObject({
    texts: ["half"],
    failure: { kind: "server_error", status: 529 },
  });
  expect(findFailure(lines(prompt("mine"), block("m", textBlock("half"))), "mine")).toBeNull();
});
