/**
 * Quotes text from a client, a tool or a history before it becomes part of a message to Claude. Such text must not look
 * like a tag, a label or a notice of synthesis. The `<` of such a tag becomes `&lt;`, and such a line is prefixed with
 * `> `. All other text stays unchanged.
 */

/** A model still reads a tag that has spaces, a slash or zero-width characters between `<` and the name. */
const OUR_TAG = "[\\s\\p{Cf}/]{0,8}(?:context|channel|begun)(?![\\w.:-])";
const TAG = new RegExp(`<(?=${OUR_TAG})`, "giu");
const QUOTED_TAG = new RegExp(`&lt;(?=${OUR_TAG})`, "giu");
const FILE_END = /<(?=[\s\p{Cf}]{0,8}\/[\s\p{Cf}]{0,8}file(?![\w.:-]))/giu;

/** How the lines that synthesis writes begin, apart from the labels of speakers. */
const NOTICE = `(?:${[
  "\\[[^\\]\\n]{1,200} returned\\]",
  "\\[(?:end|result) of ",
  "\\[called ",
  "\\[earlier messages left out\\]",
  "\\[synthesis:",
  "the person has taken back ",
  "this chat has been edited",
  "what was said in this chat before you came",
  "your last answer broke off on its way",
].join("|")})`;
const SPEAKER = "(?:\\[[^\\]\\n]{0,200}\\] ?)?(?:user|assistant|tool result|summary):";
/** Spaces and zero-width characters that may precede it. */
const INDENT = "[^\\S\\r\\n\\u2028\\u2029]{0,8}\\p{Cf}{0,8}[^\\S\\r\\n\\u2028\\u2029]{0,8}";
const NOTICE_LINE = new RegExp(`^(?=${INDENT}${NOTICE})`, "gimu");
const QUOTED_NOTICE_LINE = new RegExp(`^> (?=${INDENT}${NOTICE})`, "gimu");
const SPEAKER_LINE = new RegExp(`^(?=${INDENT}${SPEAKER})`, "gimu");

/** Quotes what looks like a tag of synthesis. */
export const quoteTags = (text: string): string => text.replace(TAG, "&lt;");

/** Quotes what looks like a tag or a notice of synthesis. */
export const quoteMarkup = (text: string): string => quoteTags(text).replace(NOTICE_LINE, "> ");

/** Quotes lines that look like the label of a speaker in a history. */
export const quoteSpeakers = (text: string): string => text.replace(SPEAKER_LINE, "> ");

/** Quotes lines that look like something that one of these people says. */
export const quoteNames = (text: string, names: ReadonlySet<string>): string =>
  names.size === 0
    ? text
    : text.replace(/^[^\n:]{1,80}(?=:)/gm, (name) => (names.has(name.trim()) ? `> ${name}` : name));

/** Quotes closing `<file>` tags in the text of a file. */
export const quoteFile = (text: string): string => text.replace(FILE_END, "&lt;");

/** Restores the text that `quoteMarkup` has quoted. */
export const unquoteMarkup = (text: string): string => text.replace(QUOTED_NOTICE_LINE, "").replace(QUOTED_TAG, "<");

/** A name from a client, made safe for a label in brackets. */
export const labelName = (name: string): string => name.replace(/[[\]\s\p{Cc}]+/gu, " ").trim();

/**
 * A tool's result under its label. If it has blank lines, its end is marked, so that text after a blank line is not taken
 * for the user's.
 */
export function labelledResult(label: string, name: string, text: string): string {
  const tool = labelName(name);
  const end = /\n[^\S\n]*\n/.test(text) ? `\n[end of what ${tool} returned]` : "";
  return `[${label.replace("%", tool)}]\n${quoteMarkup(text)}${end}`;
}

/** The text with the person's name in front, so that Claude can tell several people apart. */
export const withSpeaker = (speaker: string | null, text: string): string =>
  speaker === null || text.trim() === "" ? text : `${speaker}: ${text}`;
