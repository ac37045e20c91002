/** The history of a conversation as one text of limited length. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { historyText } from "../../src/conversation/history-text.ts";
import type { PastMessage } from "../../src/intake/input.ts";

type HistoryEntry = Pick<PastMessage, "role" | "name" | "text">;

const user = (text: string): HistoryEntry => ({ role: "user", text });
const assistant = (text: string): HistoryEntry => ({ role: "assistant", text });
const summary = (text: string): HistoryEntry => ({ role: "summary", text });
const LEFT_OUT = "[earlier messages left out]";

describe("the text", () => {
  const long = "x".repeat(60);
  const cases: [what: string, history: HistoryEntry[], maxChars: number, text: string][] = [
    [
      "has all messages when they fit",
      [user("one"), assistant("two"), { role: "tool", text: "3" }],
      100,
      "User: one\n\nAssistant: two\n\nTool result: 3",
    ],
    ["is empty without a history", [], 100, ""],
    [
      "has the newest messages when not all fit",
      [user(long), assistant("two"), user("three")],
      70,
      `${LEFT_OUT}\n\nAssistant: two\n\nUser: three`,
    ],
    [
      "has no messages from before one that was left out",
      [user("one"), user(long), user("three")],
      70,
      `${LEFT_OUT}\n\nUser: three`,
    ],
    [
      "has the end of the last message when that does not fit",
      [user("one"), user(`${long}end`)],
      LEFT_OUT.length + 5,
      `${LEFT_OUT}\n\nend`,
    ],
    [
      "has the summary and the newest messages",
      [summary("s"), user(long), user("two")],
      60,
      `Summary: s\n\n${LEFT_OUT}\n\nUser: two`,
    ],
    ["has no summary that leaves no room for messages", [summary(long), user("two")], 60, `${LEFT_OUT}\n\nUser: two`],
    [
      "has no summary that takes more than half of the text",
      [summary("s".repeat(30)), user(long), user("two")],
      75,
      `${LEFT_OUT}\n\nUser: two`,
    ],
    ["is empty when there is no room for any message", [user("one")], 5, ""],
  ];
  test.each(cases)("%s", (_what, history, maxChars, text) => {
    expect(historyText(history, maxChars)).toBe(text);
  });
});

test("property: the text keeps its limit, and says when messages are left out", () => {
  const entry = fc.record({
    role: fc.constantFrom("user" as const, "assistant" as const, "tool" as const, "summary" as const),
    text: fc.string({ maxLength: 80 }),
  });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 8 }), fc.integer({ min: 0, max: 300 }), (history, maxChars) => {
      const text = historyText(history, maxChars);
      const whole = historyText(history, Number.MAX_SAFE_INTEGER);
      expect(text.length).toBeLessThanOrEqual(maxChars);
      expect(text === whole || text === "" || text.includes(LEFT_OUT)).toBe(true);
    }),
    { numRuns: 2000 },
  );
});
