/** The person's own text in the messages with which OpenClaw repeats a turn. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { isCompactionSummary } from "../../../src/api/openclaw/compaction.ts";
import { type MessageSegment, quotations, saysAborted, splitMessage } from "../../../src/api/openclaw/retry.ts";
import { ABORTED, CONTINUE, QUEUED, withTimestamp } from "../../support/openclaw.ts";

const LATER = "[Earlier unanswered user message. Address it with the current input.]";
const own = (text: string): MessageSegment => ({ kind: "own", text });
const quoting = (text: string): MessageSegment => ({ kind: "quoting", text });
const continuing = (text: string): MessageSegment => ({ kind: "continue", text });

describe("splits", () => {
  const cases: [what: string, text: string, segments: MessageSegment[]][] = [
    ["a person's message", withTimestamp("hello"), [own(withTimestamp("hello"))]],
    ["a quotation", `${QUEUED}\nhello\n\nare you there?`, [quoting("hello\n\nare you there?")]],
    [
      "a quotation with a timestamp",
      withTimestamp(`${QUEUED}\nhello\n\nwell?`),
      [quoting(withTimestamp("hello\n\nwell?"))],
    ],
    ["a quotation by a later version of OpenClaw", `${LATER}\nhello\n\nwell?`, [quoting("hello\n\nwell?")]],
    ["a quotation in a quotation", `${QUEUED}\n${QUEUED}\na\n\nb\n\nc`, [quoting("a\n\nb\n\nc")]],
    [
      "a quotation and a request to continue",
      withTimestamp(`${QUEUED}\nhello\n\n${CONTINUE}`),
      [quoting(withTimestamp("hello")), continuing(CONTINUE)],
    ],
    ["a note that the turn was aborted", ABORTED, []],
    ["a request to continue", CONTINUE, [continuing(CONTINUE)]],
    ["a request to continue with a timestamp", withTimestamp(CONTINUE), [continuing(withTimestamp(CONTINUE))]],
    [
      "a message, a note and a request to continue",
      `hello\n\n${ABORTED}\n\n${CONTINUE}`,
      [own("hello"), continuing(CONTINUE)],
    ],
    ["a message and a note", `hello\n\n${ABORTED}`, [own("hello\n")]],
    [
      "a note and a request to continue",
      `${ABORTED}\n${withTimestamp(CONTINUE)}`,
      [continuing(withTimestamp(CONTINUE))],
    ],
    ["a note and a message", `${ABORTED}\n\nhello`, [own("hello")]],
    ["a message about a quotation", `What is this? ${QUEUED}\nhello`, [own(`What is this? ${QUEUED}\nhello`)]],
    ["a message about a note", `What is\n${ABORTED}\nin my log?`, [own(`What is\n${ABORTED}\nin my log?`)]],
    ["a message like a request to continue", "Continue the current task", [own("Continue the current task")]],
  ];
  test.each(cases)("%s", (_what, text, segments) => {
    expect(splitMessage(text).map((segment) => [segment.kind, segment.text.trim()])).toEqual(
      segments.map((segment) => [segment.kind, segment.text.trim()]),
    );
  });
});

test.each([
  [ABORTED, true],
  [`hello\n\n${ABORTED}`, true],
  [`hello\n\n${ABORTED}\n\n${CONTINUE}`, true],
  [`What is\n${ABORTED}\nin my log?`, false],
  [CONTINUE, false],
])("%j says that the turn was aborted: %p", (text, aborted) => {
  expect(saysAborted(text)).toBe(aborted);
});

test("property: a message without a note stays the same", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom("a", "\n", "[", "]", withTimestamp(""), "<turn_aborted>") }),
      (noise) => {
        const words = `x${noise}x`;
        expect(splitMessage(words)).toEqual([own(words)]);
      },
    ),
    { numRuns: 2000 },
  );
});

test("property: one of the ways to split a quotation is the right one", () => {
  const words = fc.string({ unit: fc.constantFrom("a", "b", "\n", " "), minLength: 1 }).map((text) => `x${text}x`);
  fc.assert(
    fc.property(words, words, fc.nat(59), (earlier, now, minute) => {
      const [segment] = splitMessage(withTimestamp(`${QUEUED}\n${earlier}\n\n${now}`, minute));
      expect(segment?.kind).toBe("quoting");
      expect(quotations(segment?.text ?? "")).toContainEqual({ earlier, now: withTimestamp(now, minute) });
    }),
    { numRuns: 1000 },
  );
});

test("the longest quotation comes first, and their number is limited", () => {
  expect(quotations("a\n\nb\n\nc")).toEqual([
    { earlier: "a\n\nb", now: "c" },
    { earlier: "a", now: "b\n\nc" },
  ]);
  expect(quotations(`a${"\n".repeat(10_000)}b`)).toHaveLength(100);
});

test.each([
  ["The conversation history before this point was compacted into the following summary:\n\n<summary>\nx", true],
  [withTimestamp("The conversation history before this point was compacted into the following summary: x"), true],
  ["What does 'The conversation history before this point was compacted into the following summary:' mean?", false],
])("%j is a summary: %p", (text, summary) => {
  expect(isCompactionSummary(text)).toBe(summary);
});
