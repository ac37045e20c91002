/**
 * How OpenClaw repeats a turn that ended without an answer. Either the next message quotes the earlier one behind a
 * note; or a note says that the turn was aborted, and OpenClaw asks the model to continue the task. The person's own
 * text is in there, and only that text may be sent to Claude when Claude has not received it.
 */
import { splitTimestamp } from "./timestamp.ts";

/** The note in front of a quoted message. The second alternative is the wording of later versions of OpenClaw. */
const QUOTE_NOTE =
  /^(?:\[Queued user message from a previous active turn;[^\]\n]*\]|\[Earlier unanswered user message\.[^\]\n]*\])\n/;
const ABORTED = /<turn_aborted>\nThe previous turn was interrupted\.[^<]*<\/turn_aborted>/;
const CONTINUE = /^Continue the current task from the existing transcript\b/;
const CONTINUE_AT_END = /\n\nContinue the current task from the existing transcript\b[^\n]*$/;
const ABORTED_ALONE = new RegExp(`^${ABORTED.source}\\s*`);
const ABORTED_AT_END = new RegExp(`\\n${ABORTED.source}\\s*$`);
const ABORTED_THEN_CONTINUE = new RegExp(
  `(?:^|\\n)${ABORTED.source}\\s*(?=(?:\\[[^\\]\\n]*\\] )?${CONTINUE.source.slice(1)})`,
);
/** Further blank lines are ignored: a hostile message could consist of nothing else. */
const MAX_SPLITS = 100;
/**
 * The limit, in characters, on the text that all splits of one request's messages may quote. Every quotation is hashed
 * to be compared, and a hostile message could be split a hundred times, and each of its parts again.
 */
export const MAX_COMPARED = 1_000_000;

/** A part of a user message that OpenClaw sends. */
export interface MessageSegment {
  /**
   * - `own`: the person's text
   * - `quoting`: the text of an earlier turn, a blank line, and the person's text
   * - `continue`: OpenClaw's own request to continue the task
   */
  readonly kind: "own" | "quoting" | "continue";
  readonly text: string;
}

/** Splits a user message that OpenClaw sends into its segments, without the notes. A message that is only a note has none. */
export function splitMessage(text: string): readonly MessageSegment[] {
  const both = ABORTED_THEN_CONTINUE.exec(text);
  if (both) {
    const before = text.slice(0, both.index).trimEnd();
    return [...splitMessage(before), continuation(text.slice(both.index + both[0].length))];
  }
  const rest = text.replace(ABORTED_ALONE, "").replace(ABORTED_AT_END, "");
  if (rest.trim() === "") return [];
  const [timestamp, body] = splitTimestamp(rest);
  if (CONTINUE.test(body)) return [continuation(rest)];
  if (QUOTE_NOTE.test(body)) {
    const quoted = withoutQuoteNotes(body);
    const end = CONTINUE_AT_END.exec(quoted);
    const quoting = timestamp + (end ? quoted.slice(0, end.index) : quoted);
    return [{ kind: "quoting", text: quoting }, ...(end ? [continuation(end[0].trimStart())] : [])];
  }
  return [{ kind: "own", text: rest }];
}

/** Whether a message says that the turn before it was aborted. */
export const saysAborted = (text: string): boolean =>
  ABORTED_ALONE.test(text) || ABORTED_AT_END.test(text) || ABORTED_THEN_CONTINUE.test(text);

/**
 * The ways in which the text of a `quoting` segment may be split into the quoted text and the new one, the longest
 * quotation first. Both may contain blank lines, so only the caller, who knows what was sent before, can choose.
 * @param maxCompared the limit on the length of all quotations together; longer quotations are left out
 */
export function quotations(
  text: string,
  maxCompared = MAX_COMPARED,
): readonly { readonly earlier: string; readonly now: string }[] {
  let left = maxCompared;
  const [timestamp, body] = splitTimestamp(text);
  const splits: { earlier: string; now: string }[] = [];
  for (let at = body.indexOf("\n\n"); at >= 0 && splits.length < MAX_SPLITS; at = body.indexOf("\n\n", at + 1)) {
    left -= at;
    if (left < 0) break;
    splits.unshift({ earlier: body.slice(0, at), now: timestamp + withoutQuoteNotes(body.slice(at + 2)) });
  }
  return splits;
}

const continuation = (text: string): MessageSegment => ({ kind: "continue", text });

/** A turn that failed twice is a quotation within a quotation, with a note in front of each. */
function withoutQuoteNotes(body: string): string {
  let rest = body;
  for (let note = QUOTE_NOTE.exec(rest); note; note = QUOTE_NOTE.exec(rest)) rest = rest.slice(note[0].length);
  return rest;
}
