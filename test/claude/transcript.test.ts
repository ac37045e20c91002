/** A turn's exact texts and figures, read from claude's transcript. */
import { describe, expect, test } from "bun:test";
import { findCalls, findInterruption, findTurn } from "../../src/claude/transcript.ts";

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
    expect(findTurn(jsonl, "mine")).toEqual({ texts: ["ok", "ab"], usage: { input: 30, cached: 6, output: 10 } });
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
