import { describe, expect, test } from "bun:test";
import { findTurn } from "../../../src/claude/transcript/turn-record.ts";
import { findSeam } from "../../../src/claude/transcript/turn-texts.ts";
import { end, lines, prompt, textBlock } from "./rows.ts";

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
