/** Fingerprints recognise messages and answers although clients change them slightly. */
import { describe, expect, test } from "bun:test";
import { answerFingerprint, messageFingerprint, textFingerprint } from "../../src/intake/fingerprint.ts";
import { withoutTimestamp } from "../../src/intake/timestamp.ts";

const image = { url: "data:image/png;base64,AAAA", param: "" };

describe("a message's fingerprint", () => {
  const same: [what: string, one: string, other: string][] = [
    ["line ends", "a\nb", "a\r\nb"],
    ["composed accents", "caf\u00e9", "cafe\u0301"],
    ["outer white space", "a", " a\n"],
    ["a timestamp in front", "a", "[Thu 2026-11-26 22:40 UTC] a"],
  ];
  test.each(same)("does not depend on %s", (_what, one, other) => {
    expect(messageFingerprint(one)).toBe(messageFingerprint(other));
  });
  test.each([
    ["letters", "a", "b"],
    ["case", "a", "A"],
    ["inner white space", "a b", "a  b"],
  ])("depends on %s", (_what, one, other) => {
    expect(messageFingerprint(one)).not.toBe(messageFingerprint(other));
  });
  test("depends on images, but its text part does not", () => {
    expect(messageFingerprint("a", [image])).not.toBe(messageFingerprint("a"));
    expect(textFingerprint(messageFingerprint("a", [image]))).toBe(messageFingerprint("a"));
  });
});

describe("an answer's fingerprint", () => {
  const same: [what: string, one: string, other: string][] = [
    ["white space", "a\n\nb", "a b\n"],
    ["a block of reasoning", "ab", 'a<details type="reasoning" done="true">\n<summary>x</summary>\n</details>\nb'],
    ["a <think> block", "ab", "<think>c</think>ab"],
  ];
  test.each(same)("does not depend on %s", (_what, one, other) => {
    expect(answerFingerprint(one)).toBe(answerFingerprint(other));
  });
  test("depends on the text, and is empty without text", () => {
    expect(answerFingerprint("a")).not.toBe(answerFingerprint("b"));
    expect(answerFingerprint(" \n")).toBe("");
    expect(answerFingerprint("<think>open")).not.toBe("");
  });
});

describe("a timestamp", () => {
  test.each([
    "[2026-11-26 08:00] hello",
    "[Thu 2026-11-26 22:40 UTC] hello",
    "[08:15] hello",
    "(12:30 PM) hello",
    "[26.11.2026, 08:15] hello",
    "[11/26/26, 8:15:03 AM] hello",
    "[Nov 26, 2026 at 8:15 PM] hello",
    "[Thu 26 Nov 2026 22:40 CET] hello",
    "2026-11-26T08:00:00Z hello",
    "2026-11-26 08:00:00 - hello",
    "2026-11-26T08:00:00.123+01:00: hello",
    "Thu, 26 Nov 2026 08:15:00 GMT hello",
  ])("is removed: %s", (text) => {
    expect(withoutTimestamp(text)).toBe("hello");
  });
  test.each([
    "2026-11-26 was a Thursday",
    "12:30 is when we meet",
    "[note] hello",
    "[1] hello",
    "[2026-11-26 08:00]",
    "At [08:15] it rang",
  ])("is not found in: %s", (text) => {
    expect(withoutTimestamp(text)).toBe(text);
  });
});
