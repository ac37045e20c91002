/** Text from outside, as terminals and permission prompts show it. */
import { describe, expect, test } from "bun:test";
import { visibleJson, visibleLine, visibleText } from "../../src/core/visible-text.ts";

const shown: [what: string, text: string, line: string][] = [
  ["plain text", "Grüße, 世界 👍 a_b", "Grüße, 世界 👍 a_b"],
  ["letters with marks", "e\u0301 שָׁלוֹם ไม้ नमस्ते", "e\u0301 שָׁלוֹם ไม้ नमस्ते"],
  ["terminal controls", "\x1b[31m\x07\r\x08\x9b", "⟨U+001B⟩[31m⟨U+0007⟩⟨U+000D⟩⟨U+0008⟩⟨U+009B⟩"],
  ["direction marks", "\u202e\u2066\u200f\u061c", "⟨U+202E⟩⟨U+2066⟩⟨U+200F⟩⟨U+061C⟩"],
  ["zero-width characters", "\u200b\u00ad\ufeff\u2060", "⟨U+200B⟩⟨U+00AD⟩⟨U+FEFF⟩⟨U+2060⟩"],
  ["separators", "\u2028\u2029\u00a0\u3000", "⟨U+2028⟩⟨U+2029⟩⟨U+00A0⟩⟨U+3000⟩"],
  ["variation selectors and tags", "a\ufe0f\u{e0100}\u{e0041}", "a⟨U+FE0F⟩⟨U+E0100⟩⟨U+E0041⟩"],
  ["fillers and blanks", "\u115f\u3164\uffa0\u2800", "⟨U+115F⟩⟨U+3164⟩⟨U+FFA0⟩⟨U+2800⟩"],
  ["a lone surrogate", "\ud800a", "⟨U+D800⟩a"],
  ["more than three marks", `a${"\u0301".repeat(5)}`, "a\u0301\u0301\u0301⟨U+0301⟩⟨U+0301⟩"],
  ["a mark without a letter", "\u0338/\u0338", "⟨U+0338⟩/⟨U+0338⟩"],
];
describe("invisible characters become code points in", () => {
  test.each(shown)("%s", (_what, text, line) => {
    expect(visibleLine(text)).toBe(line);
    expect(visibleText(text)).toBe(line);
  });
});

test("line feeds and tabs stay in text of several lines", () => {
  expect(visibleText("a\n\tb")).toBe("a\n\tb");
  expect(visibleLine("a\n\tb")).toBe("a⟨U+000A⟩⟨U+0009⟩b");
});

test("the value of JSON does not change", () => {
  const value = { a: "\x1b\x9b\u202e\u{e0041}\u2028 ok\n", "\u200b": [1] };
  const json = visibleJson(value);
  expect(JSON.parse(json)).toEqual(value);
  for (const invisible of ["\x1b", "\x9b", "\u202e", "\u200b", "\u2028", "\u{e0041}"])
    expect(json).not.toContain(invisible);
});
