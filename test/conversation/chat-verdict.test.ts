/** What in a chat counts as a yes or a no to claude's question. */
import { describe, expect, test } from "bun:test";
import { questionText, readVerdict } from "../../src/conversation/chat-verdict.ts";
import { readInput } from "../../src/conversation/input.ts";
import { chatRequest } from "../../src/openai/request.ts";

const pending = {
  id: "k7m2",
  description: "Bash: git push",
  session: "agent:main:main",
  turn: "t",
  tool: "Bash",
  input: {},
  sender: "ann",
  askedAt: 0,
};
const read = (words: string, { sender = "ann" as string | null, isDirect = true } = {}) => {
  const input = readInput(chatRequest.parse({ messages: [{ role: "user", content: words }] }), null);
  return readVerdict(input, sender, { pending, isDirect });
};

describe("an answer", () => {
  const cases: [words: string, verdict: "allow" | "deny" | null][] = [
    ["yes k7m2", "allow"],
    ["no k7m2", "deny"],
    ["Yes, K7M2!", "allow"],
    ['"yes k7m2"', "allow"],
    ["[Sun 2026-11-22 08:00 UTC] yes k7m2", "allow"],
    ["yes", "allow"],
    ["No.", "deny"],
    ["yes k7m3", null],
    ["yes please do that and more", null],
    ["yesterday k7m2", null],
    ["I say yes k7m2", null],
    ["k7m2", null],
  ];
  test.each(cases)("%p is %p", (words, verdict) => expect(read(words)).toBe(verdict));

  test("without the id counts only where nobody else is", () => {
    expect(read("yes", { isDirect: false })).toBeNull();
    expect(read("yes k7m2", { isDirect: false })).toBe("allow");
  });

  test("counts from nobody but the one who asked", () => {
    expect(read("yes k7m2", { sender: "bob" })).toBeNull();
    expect(read("yes k7m2", { sender: null })).toBeNull();
  });
});

test("the question says how to answer it", () => {
  expect(questionText({ pending, isDirect: false })).toBe(
    'May I do this? Bash: git push\nAnswer "yes k7m2" to allow it, or "no k7m2" to refuse.',
  );
  expect(questionText({ pending, isDirect: true })).toEndWith('(Just "yes" or "no" will do.)');
});
