import { describe, expect, test } from "bun:test";
import { answerUsage, totalUsage } from "../../src/claude/token-usage.ts";
import { findModelCalls, findTurn } from "../../src/claude/transcript/turn-record.ts";
import { end, lines, prompt, textBlock } from "./transcript/rows.ts";

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
    expect(totalUsage(findTurn(lines(prompt("mine"), ...rows), "mine")?.calls ?? [])).toEqual(of(6, 6));
    expect(totalUsage([])).toBeNull();
    expect(answerUsage([], { after: null, end: null })).toBeNull();
  });
});
