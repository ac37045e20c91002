/**
 * Assembles the text of a turn's answers from the deltas that Claude's `MessageDisplay` hooks carry.
 *
 * A delta names its message and its index in it. Hooks are posted side by side, so deltas may arrive in any order,
 * twice, or after `Stop`. The released text has each message in index order, message after message, every delta once,
 * and a blank line between two messages. There is one exception: where the model was cut off in the middle of a text,
 * the next message continues that text without a break. The hooks do not show this, so a message with nothing between
 * it and the message before waits until Claude's transcript has shown it (`join`).
 *
 * Pure: each function takes an answer and returns the next one and the text that is released.
 */

import { REPEATED } from "../claude/repeated-answer.ts";

export interface Delta {
  readonly message: string;
  readonly index: number;
  /** The last delta of its message. */
  readonly final: boolean;
  readonly text: string;
}

interface Message {
  /** Claude's id of the message; null for a note of ours. */
  readonly id: string | null;
  /** The index of the next delta to append. */
  readonly nextIndex: number;
  /** The index of the last delta, once it is known. */
  readonly lastIndex: number | null;
  /** Deltas that arrived before the one at `nextIndex`. */
  readonly early: ReadonlyMap<number, string>;
  /** Text in order that is not released, because an earlier message is incomplete. */
  readonly waiting: string;
  /** Some of its text is released. */
  readonly hasStarted: boolean;
  /** Whether it is a paragraph of its own or continues the message before it; null while that is unknown. */
  readonly start: "paragraph" | "continuation" | null;
}

export interface Answer {
  readonly messages: readonly Message[];
  /** Position of the first incomplete message. No text after it is released. */
  readonly open: number;
  /** All of Claude's text that is released, without our notes. */
  readonly text: string;
  /** The same text without anything between the messages. */
  readonly bareText: string;
  /** Where in `text` the newest message begins. */
  readonly newestAt: number;
  /** The last two characters that are released. */
  readonly tail: string;
  /** A tool has run since the newest message began, so the final text is in a message that has not arrived yet. */
  readonly hasToolRun: boolean;
  /** The next message cannot continue the one before: a tool has run, a note came between, or Claude had stopped. */
  readonly startsParagraph: boolean;
  /** A stream of the model has broken off. Hooks do not show its repetition, which only the transcript has. */
  readonly hasBrokenOff: boolean;
}

export const emptyAnswer: Answer = {
  messages: [],
  open: 0,
  text: "",
  bareText: "",
  newestAt: 0,
  tail: "",
  hasToolRun: false,
  startsParagraph: true,
  hasBrokenOff: false,
};

type Step = readonly [answer: Answer, released: string];

/** Appends a delta. A delta that arrives a second time changes nothing. */
export function appendDelta(answer: Answer, delta: Delta): Step {
  const at = answer.messages.findLastIndex(({ id }) => id === delta.message);
  const known = answer.messages[at];
  if (!known) {
    const message: Message = {
      id: delta.message,
      nextIndex: 0,
      lastIndex: null,
      early: new Map(),
      waiting: "",
      hasStarted: false,
      start: answer.startsParagraph ? "paragraph" : null,
    };
    const messages = [...answer.messages, insertDelta(message, delta)];
    return release({ ...answer, messages, hasToolRun: false, startsParagraph: false });
  }
  if (delta.index < known.nextIndex || known.early.has(delta.index)) return [answer, ""];
  return release({ ...answer, messages: answer.messages.with(at, insertDelta(known, delta)) });
}

/** Adds a note of ours, a paragraph of its own between Claude's messages. */
export function addNote(answer: Answer, text: string): Step {
  const note: Message = {
    id: null,
    nextIndex: 1,
    lastIndex: 0,
    early: new Map(),
    waiting: text,
    hasStarted: false,
    start: "paragraph",
  };
  return release({ ...answer, messages: [...answer.messages, note], startsParagraph: true });
}

/** Notes that a tool has run. */
export const afterTool = (answer: Answer): Answer =>
  answer.hasToolRun ? answer : { ...answer, hasToolRun: true, startsParagraph: true };

/** Notes that Claude has stopped. If it continues nevertheless, its next text is a paragraph of its own. */
export const afterStop = (answer: Answer): Answer => ({ ...answer, startsParagraph: true });

/** Notes that a stream of the model has broken off. Its repetition may differ from what was shown. */
export const afterBreak = (answer: Answer): Answer => ({ ...answer, hasBrokenOff: true });

/** Ends the client's answer. What follows is the client's next answer, so no blank line stands before it. */
export const closeAnswer = (answer: Answer): Answer => ({ ...answer, tail: "", startsParagraph: true });

/** Whether a message waits for `join`. */
export const awaitsJoin = ({ messages, open }: Answer): boolean => messages[open]?.start === null;

/** Takes how the message that waits starts. @param isContinuation it continues the text before it without a break */
export function join(answer: Answer, isContinuation: boolean): Step {
  const message = answer.messages[answer.open];
  if (message?.start !== null) return [answer, ""];
  const start = isContinuation ? "continuation" : "paragraph";
  return release({ ...answer, messages: answer.messages.with(answer.open, { ...message, start }) });
}

/** Whether no message lacks a delta. */
export const allMessagesComplete = ({ messages }: Answer): boolean => messages.every(isComplete);

/**
 * Whether the answer has all of its text, once Claude has stopped.
 * @param lastMessage `last_assistant_message` of the `Stop` hook: Claude's last text, trimmed
 */
export function isWhole(answer: Answer, lastMessage: string | undefined): boolean {
  if (!allMessagesComplete(answer) || awaitsJoin(answer) || answer.hasBrokenOff) return false;
  // Claude ended without a last text, so no more text will arrive.
  if (!lastMessage?.trim()) return true;
  return !answer.hasToolRun && answer.text.trimEnd().endsWith(lastMessage.trim());
}

/**
 * Completes the answer from Claude's transcript. Released text cannot be taken back: when it differs from the
 * transcript's text, a notice is released, and the transcript's text from the first message that differs.
 * @param texts the turn's messages, null when the transcript could not be read
 * @param lastMessage `last_assistant_message` of the `Stop` hook
 */
export function completeAnswer(
  answer: Answer,
  texts: readonly string[] | null,
  lastMessage: string | undefined,
): readonly [answer: Answer, released: string, diverged: boolean] {
  return texts === null
    ? [...completeFromStop(answer, lastMessage), false]
    : completeFromTranscript(answer, texts, lastMessage);
}

function completeFromTranscript(
  answer: Answer,
  texts: readonly string[],
  lastMessage: string | undefined,
): readonly [Answer, string, boolean] {
  const whole = joinMessages(texts);
  const closed = { ...answer, messages: [], open: 0 };
  if (!whole.startsWith(answer.text)) {
    const released = difference(answer, texts, lastMessage);
    return [{ ...closed, tail: (answer.tail + released).slice(-2) }, released, whole.trim() !== answer.text.trim()];
  }
  const released = whole === answer.text ? "" : withBreak(answer, whole.slice(answer.text.length));
  return [{ ...closed, text: whole, tail: (answer.tail + released).slice(-2) }, released, false];
}

/** What is released of the rest of the transcript's text. */
function withBreak({ text, tail }: Answer, rest: string): string {
  // Only notes of ours may have been shown.
  if (text === "") return paragraphBreak(tail) + rest;
  // The text so far belongs to an answer that has ended, so the rest begins the next one.
  return tail === "" ? rest.trimStart() : rest;
}

const joinMessages = (texts: readonly string[]): string =>
  texts.reduce((text, message) => text + paragraphBreak(text) + message, "");

/** What to release when the transcript's text does not begin with the released text. */
function difference({ text, tail }: Answer, texts: readonly string[], lastMessage: string | undefined): string {
  // White space between messages may differ without being a difference.
  const shown = withoutSpace(text);
  const messages = texts.map(withoutSpace);
  const last = withoutSpace(lastMessage ?? "");
  const all = messages.join("");
  // The transcript may lack the last message still. Without a last message, it may lack one whenever it is shorter.
  const isComplete = last === "" ? !shown.startsWith(all) : all.endsWith(last);
  if (!isComplete || shown === all) return "";
  if (all.startsWith(shown)) return afterCharacters(joinMessages(texts), shown.length);
  let at = 0;
  const first = messages.findIndex((message) => {
    if (!shown.startsWith(message, at)) return true;
    at += message.length;
    return false;
  });
  // All messages were shown, and more: the last one is repeated, because what was shown after it does not count.
  const from = first < 0 ? messages.length - 1 : first;
  if (shown.endsWith(messages.slice(from).join("")) && first >= 0) return "";
  return `${paragraphBreak(tail)}${REPEATED}${joinMessages(texts.slice(from))}`;
}

const withoutSpace = (text: string): string => text.replaceAll(/\s+/g, "");

/** What follows the first `count` characters of a text, white space not counted. */
function afterCharacters(text: string, count: number): string {
  let rest = count;
  let at = 0;
  for (; rest > 0 && at < text.length; at += 1) if (/\S/.test(text[at] ?? "")) rest -= 1;
  return text.slice(at);
}

/** Releases the deltas that have arrived, gaps or not, and then what `lastMessage` has beyond them. */
function completeFromStop(answer: Answer, lastMessage: string | undefined): Step {
  const [flushed, released] = release({ ...answer, messages: answer.messages.map(closeGaps) });
  const end = lastMessage?.trim() ?? "";
  if (end === "" || flushed.text.trimEnd().endsWith(end)) return [flushed, released];
  const newest = flushed.text.slice(flushed.newestAt).trimStart();
  const rest = newest !== "" && end.startsWith(newest) ? end.slice(newest.length) : paragraphBreak(flushed.tail) + end;
  return [{ ...flushed, text: flushed.text + rest }, released + rest];
}

/** How many early deltas of a message are kept. Claude posts only a few hooks side by side. */
const MAX_EARLY = 1_000;

const isComplete = ({ lastIndex, nextIndex }: Message): boolean => lastIndex !== null && nextIndex > lastIndex;

function insertDelta(message: Message, delta: Delta): Message {
  const lastIndex = delta.final ? delta.index : message.lastIndex;
  if (delta.index !== message.nextIndex) {
    // Each early delta copies the map, so their number is bounded. The transcript fills in what is dropped here.
    if (message.early.size >= MAX_EARLY) return { ...message, lastIndex };
    return { ...message, lastIndex, early: new Map(message.early).set(delta.index, delta.text) };
  }
  let nextIndex = message.nextIndex + 1;
  let waiting = message.waiting + delta.text;
  if (message.early.size === 0) return { ...message, nextIndex, lastIndex, waiting };
  const early = new Map(message.early);
  for (let text = early.get(nextIndex); text !== undefined; text = early.get(nextIndex)) {
    early.delete(nextIndex);
    waiting += text;
    nextIndex += 1;
  }
  return { ...message, nextIndex, lastIndex, waiting, early };
}

/** Completes a message as if its missing deltas were empty. */
function closeGaps(message: Message): Message {
  const early = [...message.early].sort(([one], [other]) => one - other).map(([, text]) => text);
  return {
    ...message,
    waiting: message.waiting + early.join(""),
    early: new Map(),
    lastIndex: 0,
    nextIndex: 1,
    start: message.start ?? "paragraph",
  };
}

/** Releases the text that no earlier message holds back. */
function release(answer: Answer): Step {
  const messages = [...answer.messages];
  let { open, text, bareText, newestAt, tail } = answer;
  let released = "";
  for (let message = messages[open]; message; message = messages[open]) {
    if (message.start === null) break;
    if (message.waiting !== "") {
      const isNewParagraph = !message.hasStarted && message.start === "paragraph";
      if (message.id !== null) {
        if (isNewParagraph) text += paragraphBreak(text);
        if (!message.hasStarted) newestAt = text.length;
        text += message.waiting;
        bareText += message.waiting;
      }
      released += (isNewParagraph ? paragraphBreak((tail + released).slice(-2)) : "") + message.waiting;
      messages[open] = { ...message, waiting: "", hasStarted: true };
    }
    if (!isComplete(message)) break;
    // A message of Claude's is kept after its end, because a delta of it may arrive twice. A note is not.
    if (message.id === null) messages.splice(open, 1);
    else open += 1;
  }
  if (released !== "") tail = (tail + released).slice(-2);
  return [{ ...answer, messages, open, text, bareText, newestAt, tail }, released];
}

/** What has to follow `text` so that a blank line stands after it. */
export function paragraphBreak(text: string): string {
  if (text === "" || text.endsWith("\n\n")) return "";
  return text.endsWith("\n") ? "\n" : "\n\n";
}
