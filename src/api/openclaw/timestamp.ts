/** The timestamp that OpenClaw puts in front of a person's message: `[Sat 2026-11-21 22:28 UTC] `. */

const TIMESTAMP = /^\[(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d{4}-\d{2}-\d{2} \d{2}:\d{2}(?: [^\]\n]{1,40})?\] /;

/** Splits a message into its timestamp, which may be empty, and its text. */
export function splitTimestamp(text: string): readonly [timestamp: string, text: string] {
  const timestamp = TIMESTAMP.exec(text)?.[0] ?? "";
  return [timestamp, text.slice(timestamp.length)];
}
