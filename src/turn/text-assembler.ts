/**
 * The text of one answer, put together from the pieces that claude's `MessageDisplay` hooks bring.
 *
 * Pieces carry their message and their index in it. They are posted side by side, so they may come in
 * any order, twice, or behind `Stop`. What goes out is each message's text in index order, message after
 * message, every piece once. Between two messages stands a blank line. Only where the model was cut in the middle of a
 * text, and goes on in another message, nothing does. The hooks do not tell the two apart: a message that begins
 * where nothing has come between waits until claude's record has told (`join`).
 *
 * Pure: each function takes an answer and gives the next one and the text that can go out now.
 */

export interface Delta {
  readonly message: string;
  readonly index: number;
  /** The last piece of its message. */
  readonly final: boolean;
  readonly text: string;
}

interface Message {
  /** claude's id of the message; null for a note of ours. */
  readonly id: string | null;
  /** The index that comes next. */
  readonly next: number;
  /** The index of the last piece, once it is known. */
  readonly last: number | null;
  /** Pieces that came before their turn. */
  readonly early: ReadonlyMap<number, string>;
  /** Text in order that has not gone out, because an earlier message is still open. */
  readonly waiting: string;
  /** Some of it has gone out. */
  readonly begun: boolean;
  /** What stands before it: a blank line, or nothing; null when that is not known yet. */
  readonly join: "apart" | "seam" | null;
}

export interface Answer {
  readonly messages: readonly Message[];
  /** The first message that is not complete: no text behind it goes out. */
  readonly open: number;
  /** All of claude's text that has gone out; notes are not in it. */
  readonly text: string;
  /** The same with nothing between the messages. */
  readonly bare: string;
  /** Where in `text` its newest message begins. */
  readonly newestAt: number;
  /** The last two characters that have gone out. */
  readonly tail: string;
  /** A tool has run since the newest message began: what claude says next is in a message not seen yet. */
  readonly toolSince: boolean;
  /** What claude says next is no continuation of what it has said: a tool has run, a note has come, or it had stopped. */
  readonly isApart: boolean;
}

export const emptyAnswer: Answer = {
  messages: [],
  open: 0,
  text: "",
  bare: "",
  newestAt: 0,
  tail: "",
  toolSince: false,
  isApart: true,
};

type Step = readonly [answer: Answer, out: string];

/** Takes one piece. A piece that was taken before changes nothing. */
export function appendDelta(answer: Answer, piece: Delta): Step {
  const at = answer.messages.findLastIndex(({ id }) => id === piece.message);
  const known = answer.messages[at];
  if (!known) {
    const join = answer.isApart ? "apart" : null;
    const message = place(
      { id: piece.message, next: 0, last: null, early: new Map(), waiting: "", begun: false, join },
      piece,
    );
    return release({ ...answer, messages: [...answer.messages, message], toolSince: false, isApart: false });
  }
  if (piece.index < known.next || known.early.has(piece.index)) return [answer, ""];
  return release({ ...answer, messages: answer.messages.with(at, place(known, piece)) });
}

/** Takes a note of ours, a paragraph of its own between claude's messages. */
export function addNote(answer: Answer, text: string): Step {
  const note = { id: null, next: 1, last: 0, early: new Map(), waiting: text, begun: false, join: "apart" } as const;
  return release({ ...answer, messages: [...answer.messages, note], isApart: true });
}

/** Takes the end of a tool's run. */
export const afterTool = (answer: Answer): Answer =>
  answer.toolSince ? answer : { ...answer, toolSince: true, isApart: true };

/** claude has stopped; if it goes on, what it says is a paragraph of its own. */
export const afterStop = (answer: Answer): Answer => ({ ...answer, isApart: true });

/** What follows goes out in another answer: no blank line stands before it. */
export const closeMessage = (answer: Answer): Answer => ({ ...answer, tail: "", isApart: true });

/** Whether text waits for what `join` takes. */
export const awaitsJoin = ({ messages, open }: Answer): boolean => messages[open]?.join === null;

/** Takes whether the message that waits goes on in the middle of the text before it. */
export function join(answer: Answer, isSeam: boolean): Step {
  const message = answer.messages[answer.open];
  if (message?.join !== null) return [answer, ""];
  return release({
    ...answer,
    messages: answer.messages.with(answer.open, { ...message, join: isSeam ? "seam" : "apart" }),
  });
}

/** Whether every message of which something has come has come to its end. */
export const allMessagesComplete = ({ messages }: Answer): boolean => messages.every(isComplete);

/**
 * Whether the answer is whole, at `Stop`.
 * @param last `Stop`'s `last_assistant_message`: claude's last text, trimmed
 */
export function isWhole(answer: Answer, last: string | undefined): boolean {
  if (!answer.messages.every(isComplete) || awaitsJoin(answer)) return false;
  // Without a last text claude ended in silence: nothing more will come.
  if (!last?.trim()) return true;
  return !answer.toolSince && answer.text.trimEnd().endsWith(last.trim());
}

/**
 * Completes the answer from claude's transcript. What has gone out cannot be taken back, so when it is
 * not how the transcript begins, nothing is said again.
 * @param texts the turn's messages, null when the transcript could not be read
 * @param last `Stop`'s `last_assistant_message`
 */
export function complete(
  answer: Answer,
  texts: readonly string[] | null,
  last: string | undefined,
): readonly [answer: Answer, out: string, diverged: boolean] {
  if (texts) {
    const whole = texts.reduce((text, message) => text + paragraphBreak(text) + message, "");
    // Nothing more of the messages is to come.
    const closed = { ...answer, messages: [], open: 0 };
    if (!whole.startsWith(answer.text)) return [closed, "", whole.trim() !== answer.text.trim()];
    const rest = whole.slice(answer.text.length);
    // What is said first to a client that was given the text before with another answer.
    const out = answer.tail === "" && answer.text !== "" ? rest.trimStart() : rest;
    return [{ ...closed, text: whole, tail: (answer.tail + out).slice(-2) }, out, false];
  }
  // No transcript: what we hold in order, then what `Stop` says beyond it.
  const [flushed, out] = release({ ...answer, messages: answer.messages.map(closeGaps) });
  const end = last?.trim() ?? "";
  if (end === "" || flushed.text.trimEnd().endsWith(end)) return [flushed, out, false];
  const newest = flushed.text.slice(flushed.newestAt);
  const rest =
    newest !== "" && end.startsWith(newest.trimStart())
      ? end.slice(newest.trimStart().length)
      : paragraphBreak(flushed.tail) + end;
  return [{ ...flushed, text: flushed.text + rest }, out + rest, false];
}

/** Hooks are posted side by side, a few at a time. */
const MAX_EARLY = 1_000;

const isComplete = (message: Message): boolean => message.last !== null && message.next > message.last;

function place(message: Message, piece: Delta): Message {
  const last = piece.final ? piece.index : message.last;
  if (piece.index !== message.next) {
    // Each of them is copied with the next. What is left out here is filled in from the transcript.
    if (message.early.size >= MAX_EARLY) return { ...message, last };
    return { ...message, last, early: new Map(message.early).set(piece.index, piece.text) };
  }
  let next = message.next + 1;
  let waiting = message.waiting + piece.text;
  if (message.early.size === 0) return { ...message, next, last, waiting };
  const early = new Map(message.early);
  for (let text = early.get(next); text !== undefined; text = early.get(next)) {
    early.delete(next);
    waiting += text;
    next += 1;
  }
  return { ...message, next, last, waiting, early };
}

/** The message as if what is missing of it were empty. */
function closeGaps(message: Message): Message {
  const early = [...message.early].sort(([one], [other]) => one - other).map(([, text]) => text);
  return {
    ...message,
    waiting: message.waiting + early.join(""),
    early: new Map(),
    last: 0,
    next: 1,
    join: message.join ?? "apart",
  };
}

/** Lets out what no earlier message holds back. */
function release(answer: Answer): Step {
  const messages = [...answer.messages];
  let { open, text, bare, newestAt, tail } = answer;
  let out = "";
  for (let message = messages[open]; message; message = messages[open]) {
    if (message.join === null) break;
    if (message.waiting !== "") {
      const isParagraph = !message.begun && message.join === "apart";
      const said = (isParagraph ? paragraphBreak((tail + out).slice(-2)) : "") + message.waiting;
      if (message.id !== null) {
        if (isParagraph) text += paragraphBreak(text);
        if (!message.begun) newestAt = text.length;
        text += message.waiting;
        bare += message.waiting;
      }
      out += said;
      messages[open] = { ...message, waiting: "", begun: true };
    }
    if (!isComplete(message)) break;
    // A note that is out is done with; a message is kept, since a piece of it may come twice.
    if (message.id === null) messages.splice(open, 1);
    else open += 1;
  }
  if (out !== "") tail = (tail + out).slice(-2);
  return [{ ...answer, messages, open, text, bare, newestAt, tail }, out];
}

/** What makes a blank line behind `text`. */
export function paragraphBreak(text: string): string {
  if (text === "" || text.endsWith("\n\n")) return "";
  return text.endsWith("\n") ? "\n" : "\n\n";
}
