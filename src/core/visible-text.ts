/**
 * Text from outside, made safe to look at: a character that draws nothing, changes the direction of writing or steers
 * a terminal is shown by its code point, as `⟨U+202E⟩`. The plain space stays.
 */

/** Blank glyphs that Unicode counts among the letters, marks and symbols. */
const BLANK = "\\u2800\\u{1d159}\\u{16fe4}\\u{13441}\\u{13442}";
/** Controls, formats, lone surrogates, private and unassigned code points, separators, fillers, variation selectors, tags. */
const UNSEEN = `\\p{C}\\p{Z}\\p{Default_Ignorable_Code_Point}${BLANK}`;
const UNSEEN_ON_A_LINE = new RegExp(`(?! )[${UNSEEN}]`, "gu");
const UNSEEN_IN_LINES = new RegExp(`(?![ \\n\\t])[${UNSEEN}]`, "gu");
const MARKS = /\p{M}+/gu;
/** No language puts more marks on one letter; a longer run covers the lines above and below. */
const MOST_MARKS = 3;
const CARRIES_MARKS = /[\p{L}\p{N}]$/u;

/** The text on one line: line ends and tabs are shown by their code points, too. */
export const visibleLine = (text: string): string => show(text, UNSEEN_ON_A_LINE);

/** The text with its line feeds and tabs. */
export const visibleText = (text: string): string => show(text, UNSEEN_IN_LINES);

/** JSON of a value for people and programs: the same value, with what cannot be seen escaped as `\u202e`. */
export const visibleJson = (value: unknown): string =>
  JSON.stringify(value, null, 2).replace(UNSEEN_IN_LINES, (character) =>
    Array.from({ length: character.length }, (_, at) => character.charCodeAt(at))
      .map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`)
      .join(""),
  );

const show = (text: string, unseen: RegExp): string =>
  text.replace(unseen, codePoint).replace(MARKS, (marks, at: number, whole: string) => {
    // A mark without a letter of its own is drawn over what stands before it. The letter may be a surrogate pair.
    const kept = CARRIES_MARKS.test(whole.slice(Math.max(0, at - 2), at)) ? MOST_MARKS : 0;
    return [...marks].map((mark, number) => (number < kept ? mark : codePoint(mark))).join("");
  });

const codePoint = (character: string): string =>
  `⟨U+${(character.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, "0")}⟩`;
