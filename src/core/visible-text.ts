/**
 * Makes text from outside safe to display. A character that is invisible, changes the writing direction or controls a
 * terminal is replaced with its code point, such as `⟨U+202E⟩`. The plain space stays.
 */

/** Invisible characters that Unicode classifies as letters, marks or symbols. */
const BLANK = "\\u2800\\u{1d159}\\u{16fe4}\\u{13441}\\u{13442}";
/** Controls, formats, lone surrogates, private and unassigned code points, separators, fillers, variation selectors, tags. */
const INVISIBLE = `\\p{C}\\p{Z}\\p{Default_Ignorable_Code_Point}${BLANK}`;
const INVISIBLE_IN_LINE = new RegExp(`(?! )[${INVISIBLE}]`, "gu");
const INVISIBLE_IN_TEXT = new RegExp(`(?![ \\n\\t])[${INVISIBLE}]`, "gu");
const MARKS = /\p{M}+/gu;
/** No language puts more marks on one letter, and a longer run would cover the neighbouring lines. */
const MAX_MARKS = 3;
const CARRIES_MARKS = /[\p{L}\p{N}]$/u;

/** Text for one line. Line breaks and tabs are replaced, too. */
export const visibleLine = (text: string): string => show(text, INVISIBLE_IN_LINE);

/** Text for several lines. Line feeds and tabs stay. */
export const visibleText = (text: string): string => show(text, INVISIBLE_IN_TEXT);

/** JSON for people and programs. Invisible characters are escaped, such as `\u202e`, so the value stays the same. */
export const visibleJson = (value: unknown): string =>
  JSON.stringify(value, null, 2).replace(INVISIBLE_IN_TEXT, (character) =>
    Array.from({ length: character.length }, (_, at) => character.charCodeAt(at))
      .map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`)
      .join(""),
  );

const show = (text: string, invisible: RegExp): string =>
  text.replace(invisible, codePoint).replace(MARKS, (marks, at: number, whole: string) => {
    // A mark that follows no letter would be drawn over other text. The letter may be a surrogate pair.
    const kept = CARRIES_MARKS.test(whole.slice(Math.max(0, at - 2), at)) ? MAX_MARKS : 0;
    return [...marks].map((mark, number) => (number < kept ? mark : codePoint(mark))).join("");
  });

const codePoint = (character: string): string =>
  `⟨U+${(character.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, "0")}⟩`;
