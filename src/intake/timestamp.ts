/** The timestamps that chat programs put in front of a message, in all the forms that they use. */

const WEEKDAY = "(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6}";
const MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}";
const DATE = [
  String.raw`\d{4}[-/.]\d{1,2}[-/.]\d{1,2}`,
  String.raw`\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}`,
  String.raw`${MONTH}\.? \d{1,2}(?:st|nd|rd|th)?,?(?: \d{4})?`,
  String.raw`\d{1,2}\.? ${MONTH}\.?,?(?: \d{4})?`,
].join("|");
const ZONE = String.raw`(?:z|(?:utc|gmt)?[+-]\d{1,2}(?::?\d{2})?|[a-z]{2,5}|[a-z_]{2,20}/[a-z_/]{2,30})`;
const TIME = String.raw`\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,6})?)?(?: ?[ap]\.?m\.?)?(?: ?${ZONE})?`;
const BETWEEN = "(?:,? at |[, t] ?)";
const DATE_AND_TIME = `(?:${WEEKDAY},? )?(?:(?:${DATE})(?:${BETWEEN}${TIME})?|${TIME}(?:,? (?:${DATE}))?)`;

/** In brackets, a date or a time is enough. Without brackets it takes both, and a character that ends them. */
const TIMESTAMP = new RegExp(
  `^(?:\\[${DATE_AND_TIME}\\]|\\(${DATE_AND_TIME}\\)|(?:${WEEKDAY},? )?(?:${DATE})${BETWEEN}${TIME}(?=[\\]:\\s-]))` +
    "[:\\s–—-]*",
  "i",
);
/** No timestamp is longer. In characters. */
const MAX_LENGTH = 100;

/** The text without the timestamp in front of it. A text that is only a timestamp stays the same. */
export function withoutTimestamp(text: string): string {
  const timestamp = TIMESTAMP.exec(text.slice(0, MAX_LENGTH))?.[0] ?? "";
  return timestamp.length === text.length ? text : text.slice(timestamp.length);
}
