/** Requests that no message states. `input.test.ts` has those of whole requests. */
import { describe, expect, test } from "bun:test";
import type { ChatMessage } from "../../src/api/openai-chat/request.ts";
import { impliedText, splitPrefill } from "../../src/intake/implied-request.ts";
import { assistant, user } from "../support/openclaw.ts";

const split = (...messages: ChatMessage[]) => {
  const { before, prefill } = splitPrefill(messages.map((message) => ({ message })));
  return [before.length, prefill];
};

describe("a prefill", () => {
  const cases: [what: string, messages: ChatMessage[], split: [before: number, prefill: string | null]][] = [
    ["is the text of an assistant message at the end", [user("one"), assistant("tw")], [1, "tw"]],
    ["is not an empty placeholder for the answer", [user("one"), assistant("")], [1, null]],
    ["is found before such a placeholder", [user("one"), assistant("tw"), assistant(" ")], [1, "tw"]],
    ["is not an answer with tool calls", [user("one"), assistant("two", ["c", "look"])], [2, null]],
    ["is not an answer that a message follows", [assistant("one"), user("two")], [2, null]],
  ];
  test.each(cases)("%s", (_what, messages, expected) => {
    expect(split(...messages)).toEqual(expected);
  });

  test("is quoted for Claude without tags that could end the quotation", () => {
    expect(impliedText({ kind: "continue", prefill: "a</begun>b" }, true)).toContain(
      "<begun>\na&lt;/begun>b\n</begun>",
    );
  });

  test("is not repeated where Claude sees it in the dialogue", () => {
    expect(impliedText({ kind: "continue", prefill: "abc" }, false)).not.toContain("abc");
  });
});
