/** The time of writing, which OpenClaw puts before a user's words: `[Sat 2026-11-21 22:28 UTC] `. */

const STAMP = /^\[(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d{4}-\d{2}-\d{2} \d{2}:\d{2}(?: [^\]\n]{1,40})?\] /;

/** A message's time of writing, empty when it has none, and its words. */
export function splitTimestamp(text: string): readonly [stamp: string, words: string] {
  const stamp = STAMP.exec(text)?.[0] ?? "";
  return [stamp, text.slice(stamp.length)];
}
