/** What the user wrote, in whatever words OpenClaw tells it again. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { isCompactionSummary } from "../../../src/api/openclaw/compaction.ts";
import { type MessageSegment, quotations, saysAborted, splitMessage } from "../../../src/api/openclaw/retry.ts";
import { ABORTED, CONTINUE, QUEUED, stamp } from "../../support/openclaw.ts";

const LATER = "[Earlier unanswered user message. Address it with the current input.]";
const own = (text: string): MessageSegment => ({ kind: "own", text });
const quoting = (text: string): MessageSegment => ({ kind: "quoting", text });
const goOn = (text: string): MessageSegment => ({ kind: "continue", text });

describe("is read as", () => {
  const cases: [what: string, text: string, wordings: MessageSegment[]][] = [
    ["words", stamp("hello"), [own(stamp("hello"))]],
    ["a quotation", `${QUEUED}\nhello\n\nare you there?`, [quoting("hello\n\nare you there?")]],
    ["a quotation of today", stamp(`${QUEUED}\nhello\n\nwell?`), [quoting(stamp("hello\n\nwell?"))]],
    ["a quotation of a later version", `${LATER}\nhello\n\nwell?`, [quoting("hello\n\nwell?")]],
    ["a quotation in a quotation", `${QUEUED}\n${QUEUED}\na\n\nb\n\nc`, [quoting("a\n\nb\n\nc")]],
    [
      "a quotation, asked to go on",
      stamp(`${QUEUED}\nhello\n\n${CONTINUE}`),
      [quoting(stamp("hello")), goOn(CONTINUE)],
    ],
    ["an end", ABORTED, []],
    ["a request to go on", CONTINUE, [goOn(CONTINUE)]],
    ["a request of today", stamp(CONTINUE), [goOn(stamp(CONTINUE))]],
    ["words, an end, a request", `hello\n\n${ABORTED}\n\n${CONTINUE}`, [own("hello"), goOn(CONTINUE)]],
    ["words and an end", `hello\n\n${ABORTED}`, [own("hello\n")]],
    ["an end and a request", `${ABORTED}\n${stamp(CONTINUE)}`, [goOn(stamp(CONTINUE))]],
    ["an end and words", `${ABORTED}\n\nhello`, [own("hello")]],
    ["words about a note", `What is this? ${QUEUED}\nhello`, [own(`What is this? ${QUEUED}\nhello`)]],
    ["words about an end", `What is\n${ABORTED}\nin my log?`, [own(`What is\n${ABORTED}\nin my log?`)]],
    ["words like a request", "Continue the current task", [own("Continue the current task")]],
  ];
  test.each(cases)("%s", (_what, text, wordings) => {
    expect(splitMessage(text).map(({ kind, text: words }) => [kind, words.trim()])).toEqual(
      wordings.map(({ kind, text: words }) => [kind, words.trim()]),
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

test("property: words without a note are not touched", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("a", "\n", "[", "]", stamp(""), "<turn_aborted>") }), (noise) => {
      const words = `x${noise}x`;
      expect(splitMessage(words)).toEqual([own(words)]);
    }),
    { numRuns: 2000 },
  );
});

test("property: one of the ways to part a quotation is the right one", () => {
  const words = fc.string({ unit: fc.constantFrom("a", "b", "\n", " "), minLength: 1 }).map((text) => `x${text}x`);
  fc.assert(
    fc.property(words, words, fc.nat(59), (earlier, now, minute) => {
      const [wording] = splitMessage(stamp(`${QUEUED}\n${earlier}\n\n${now}`, minute));
      expect(wording?.kind).toBe("quoting");
      expect(quotations(wording?.text ?? "")).toContainEqual({ earlier, now: stamp(now, minute) });
    }),
    { numRuns: 1000 },
  );
});

test("the longest quotation comes first, and there is an end to them", () => {
  expect(quotations("a\n\nb\n\nc")).toEqual([
    { earlier: "a\n\nb", now: "c" },
    { earlier: "a", now: "b\n\nc" },
  ]);
  expect(quotations(`a${"\n".repeat(10_000)}b`)).toHaveLength(100);
});

test.each([
  ["The conversation history before this point was compacted into the following summary:\n\n<summary>\nx", true],
  [stamp("The conversation history before this point was compacted into the following summary: x"), true],
  ["What does 'The conversation history before this point was compacted into the following summary:' mean?", false],
])("%j is a summary: %p", (text, summary) => {
  expect(isCompactionSummary(text)).toBe(summary);
});
