/**
 * Text from a client, a tool or a history, as it may stand in what Claude is sent. Nothing in it can pass for a tag, a
 * label or a notice of ours: a tag begins with `&lt;`, and a line that looks like one of ours is quoted with `> `.
 * Any other text stays as it is.
 */

/** Between `<` and the name a model reads over blanks, a slash and characters without width. */
const OUR_TAG = "[\\s\\p{Cf}/]{0,8}(?:context|channel|begun)(?![\\w.:-])";
const TAG = new RegExp(`<(?=${OUR_TAG})`, "giu");
const QUOTED_TAG = new RegExp(`&lt;(?=${OUR_TAG})`, "giu");
const FILE_END = /<(?=[\s\p{Cf}]{0,8}\/[\s\p{Cf}]{0,8}file(?![\w.:-]))/giu;

/** What a line of ours begins with, beside speakers. */
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
/** Before it on its line: blanks and characters without width. */
const INDENT = "[^\\S\\r\\n\\u2028\\u2029]{0,8}\\p{Cf}{0,8}[^\\S\\r\\n\\u2028\\u2029]{0,8}";
const NOTICE_LINE = new RegExp(`^(?=${INDENT}${NOTICE})`, "gimu");
const QUOTED_NOTICE_LINE = new RegExp(`^> (?=${INDENT}${NOTICE})`, "gimu");
const SPEAKER_LINE = new RegExp(`^(?=${INDENT}${SPEAKER})`, "gimu");

/** A text without tags of ours. */
export const quoteTags = (text: string): string => text.replace(TAG, "&lt;");

/** A text without tags and notices of ours. */
export const quoteWords = (text: string): string => quoteTags(text).replace(NOTICE_LINE, "> ");

/** A text without lines that begin as a speaker's do in a history. */
export const quoteSpeakers = (text: string): string => text.replace(SPEAKER_LINE, "> ");

/** A text without lines in which one of these people seems to speak. */
export const quoteNames = (text: string, names: ReadonlySet<string>): string =>
  names.size === 0
    ? text
    : text.replace(/^[^\n:]{1,80}(?=:)/gm, (name) => (names.has(name.trim()) ? `> ${name}` : name));

/** The text of a file that stands between `<file>` tags. */
export const quoteFile = (text: string): string => text.replace(FILE_END, "&lt;");

/** The text that `quoteWords` was given. */
export const unquoteWords = (text: string): string => text.replace(QUOTED_NOTICE_LINE, "").replace(QUOTED_TAG, "<");

/** A name from a client, for a label in brackets. */
export const labelName = (name: string): string => name.replace(/[[\]\s\p{Cc}]+/gu, " ").trim();

/** A tool's result under its label. Where blank lines part it, its end is marked: what follows would seem the user's. */
export function labelledResult(label: string, name: string, text: string): string {
  const tool = labelName(name);
  const end = /\n[^\S\n]*\n/.test(text) ? `\n[end of what ${tool} returned]` : "";
  return `[${label.replace("%", tool)}]\n${quoteWords(text)}${end}`;
}
