import { describe, expect, test } from "bun:test";
import { totalUsage } from "../../../src/claude/token-usage.ts";
import {
  findCalls,
  findFailure,
  findInterruption,
  findRefusedPrompt,
  findTurn,
} from "../../../src/claude/transcript/turn-record.ts";
import { block, end, lines, prompt, textBlock } from "./rows.ts";

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
    expect(totalUsage(record?.calls ?? [])).toEqual({ input: 30, cached: 6, output: 10 });
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
