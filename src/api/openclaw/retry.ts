/**
 * How OpenClaw tells a turn again that ended without an answer. Either the next prompt quotes the one
 * before it, under a note; or it says that the turn was aborted, and asks to go on with the task. What
 * the user wrote is in there, and only that may be told to a claude that has not heard it.
 */
import { splitTimestamp } from "./timestamp.ts";

/** The second wording is that of OpenClaw's later versions. */
const QUEUED =
  /^(?:\[Queued user message from a previous active turn;[^\]\n]*\]|\[Earlier unanswered user message\.[^\]\n]*\])\n/;
const ABORTED = /<turn_aborted>\nThe previous turn was interrupted\.[^<]*<\/turn_aborted>/;
const CONTINUE = /^Continue the current task from the existing transcript\b/;
const CONTINUE_AT_END = /\n\nContinue the current task from the existing transcript\b[^\n]*$/;
const ABORTED_ALONE = new RegExp(`^${ABORTED.source}\\s*`);
const ABORTED_AT_END = new RegExp(`\\n${ABORTED.source}\\s*$`);
const ABORTED_THEN_CONTINUE = new RegExp(
  `(?:^|\\n)${ABORTED.source}\\s*(?=(?:\\[[^\\]\\n]*\\] )?${CONTINUE.source.slice(1)})`,
);
/** More blank lines than this are not looked at: a message of nothing else would take for ever. */
const MAX_SPLITS = 100;
/**
 * In characters: the ways in which the messages of one request fall apart hold no more earlier text than this. Each is
 * hashed to be compared, and a hostile message could be split at its end a hundred times, and again in each part.
 */
export const MAX_COMPARED = 1_000_000;

export interface Wording {
  /**
   * - `own`: the user's words
   * - `quoting`: words of a turn before, a blank line, and the user's words now
   * - `continue`: OpenClaw's own words, which ask to go on
   */
  readonly kind: "own" | "quoting" | "continue";
  readonly text: string;
}

/** What stands in a user message of OpenClaw's, without its notes; nothing if it was only a note. */
export function readWording(text: string): readonly Wording[] {
  const both = ABORTED_THEN_CONTINUE.exec(text);
  if (both) {
    return [...readWording(text.slice(0, both.index).trimEnd()), continuation(text.slice(both.index + both[0].length))];
  }
  const rest = text.replace(ABORTED_ALONE, "").replace(ABORTED_AT_END, "");
  if (rest.trim() === "") return [];
  const [stamp, words] = splitTimestamp(rest);
  if (CONTINUE.test(words)) return [continuation(rest)];
  if (QUEUED.test(words)) {
    const quoted = withoutNotes(words);
    const end = CONTINUE_AT_END.exec(quoted);
    const text = stamp + (end ? quoted.slice(0, end.index) : quoted);
    return [{ kind: "quoting", text }, ...(end ? [continuation(end[0].trimStart())] : [])];
  }
  return [{ kind: "own", text: rest }];
}

/** Whether a message says that the turn before it was aborted. */
export const saysAborted = (text: string): boolean =>
  ABORTED_ALONE.test(text) || ABORTED_AT_END.test(text) || ABORTED_THEN_CONTINUE.test(text);

/**
 * The ways in which a `quoting` text may fall into what was said before and what is said now, the
 * longest quotation first. Both may have blank lines, so only one who knows what was said can choose.
 * @param maxCompared characters that all the earlier parts together may have; longer quotations are left out
 */
export function quotations(
  text: string,
  maxCompared = MAX_COMPARED,
): readonly { readonly earlier: string; readonly now: string }[] {
  let left = maxCompared;
  const [stamp, words] = splitTimestamp(text);
  const splits: { earlier: string; now: string }[] = [];
  for (let at = words.indexOf("\n\n"); at >= 0 && splits.length < MAX_SPLITS; at = words.indexOf("\n\n", at + 1)) {
    left -= at;
    if (left < 0) break;
    splits.unshift({ earlier: words.slice(0, at), now: stamp + withoutNotes(words.slice(at + 2)) });
  }
  return splits;
}

const continuation = (text: string): Wording => ({ kind: "continue", text });

/** A turn that failed twice is quoted in a quotation. */
function withoutNotes(words: string): string {
  let rest = words;
  for (let note = QUEUED.exec(rest); note; note = QUEUED.exec(rest)) rest = rest.slice(note[0].length);
  return rest;
}
