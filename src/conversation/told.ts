/**
 * What claude must be told with a request. Clients send the whole conversation with every request; claude
 * has its own. Between the two lies what it was told before: told again, it would know it twice; left
 * out, not at all.
 *
 * Pure: what was told, and a request, give what to tell now.
 */
import type { Input, NewMessage, PastMessage } from "./input.ts";
import { printOf } from "./print.ts";
import { untold } from "./retold.ts";

/** One turn that claude has received. */
export interface Told {
  /** The turn's id. */
  readonly turn: string;
  /** The client's trace: the same for all requests of one run, its retries too. */
  readonly traceId: string | null;
  /** Of the user's messages that it brought. */
  readonly prints: readonly string[];
  /** Of those that it told as what had been said before. */
  readonly pastPrints: readonly string[];
  /** Of the volatile part of the system prompt, if it was told with this turn. */
  readonly volatile: string | null;
  /** claude has answered it. */
  readonly answered: boolean;
  /**
   * How the answer broke off without claude's knowing: `lost`, with the server, and nobody knows what the client got
   * of it; `failed`, with an error after some text. Of an interruption claude's own record tells.
   */
  readonly brokeOff: "lost" | "failed" | null;
}

export interface Question {
  readonly input: Input;
  readonly traceId: string | null;
  /** The part of the system prompt that may differ with every request; empty when there is none. */
  readonly volatile: string;
  /** OpenClaw wrote it: it always sends the history, without what it thinks is not worth keeping, such as heartbeats. */
  readonly fromOpenClaw: boolean;
}

export interface Plan {
  /** Nothing when claude has heard it all, or nobody has said anything. */
  readonly messages: readonly NewMessage[];
  /** It has heard it all, and has not answered. */
  readonly isAskedAgain: boolean;
  readonly past: Past | null;
  /** The client may not have what claude answered last, and claude does not know. */
  readonly brokeOff: boolean;
  /** What the client's program wants known. */
  readonly carried: readonly string[];
  /** The volatile part of the system prompt, if claude does not know it. */
  readonly volatile: { readonly text: string; readonly print: string } | null;
  readonly prints: readonly string[];
  readonly pastPrints: readonly string[];
}

/** What of the earlier conversation claude does not know as the client has it. */
export type Past =
  /** Said before claude came. */
  | { readonly why: "new"; readonly history: readonly PastMessage[] }
  /** Changed since, or said to somebody else: from its first unknown message on. */
  | { readonly why: "changed"; readonly history: readonly PastMessage[] }
  /** So many of the user's last messages, and what came of them, were taken back. */
  | { readonly why: "taken back"; readonly count: number };

/**
 * Whether an answer broke off that ended with an error. Nothing did that had not begun; and what somebody has
 * interrupted on purpose claude's own record says.
 * @param code the error's
 */
export const brokeOffWith = (code: string | null, hasBegun: boolean): Told["brokeOff"] =>
  hasBegun && code !== null && code !== "turn_interrupted" ? "failed" : null;

/**
 * The turn in which claude has answered this already, or may have: the client asks again because the answer was
 * lost on its way.
 * @param told oldest first, as in all of these
 */
export function answeredBefore(told: readonly Told[], { input, traceId }: Question): string | null {
  const asked = input.messages.flatMap((message) =>
    message.role === "user" && message.kind !== "continue" ? [message.print] : [],
  );
  if (traceId === null || asked.length === 0 || input.messages.some(({ role }) => role === "tool")) return null;
  const given = told.findLast((turn) => (turn.answered || turn.brokeOff === "lost") && turn.traceId === traceId);
  return given && asked.every((print) => given.prints.includes(print)) ? given.turn : null;
}

/** @param fresh claude's session is new, and knows nothing */
export function planTurn(told: readonly Told[], question: Question, fresh: boolean): Plan {
  const { input, volatile, fromOpenClaw } = question;
  const unanswered = unansweredPrints(told);
  const asked = untold(input.messages, (print) => unanswered.includes(print));
  // The client may have left while claude came to its end: then it tells again, with more, what was answered.
  const missed = [...unanswered, ...missedPrints(told, input)];
  const unheard = untold(input.messages, (print) => missed.includes(print));
  // Nothing more is the question asked anew.
  const messages = unheard.length > 0 ? unheard : asked;
  const past = fresh ? whole(input) : pastOf(told, input, fromOpenClaw);
  const print = volatile === "" ? null : printOf(volatile);
  const known = told.findLast((turn) => turn.volatile !== null)?.volatile;
  // Of a session from before this was noted nothing is known but that its claude has been there.
  const unnoted = told.length === 0 && !fresh;
  return {
    messages,
    isAskedAgain: messages.length === 0 && input.messages.length > 0,
    past,
    // Results are brought by who has the calls, and so the answer.
    brokeOff: !fresh && (told.at(-1)?.brokeOff ?? null) !== null && !messages.some(({ role }) => role === "tool"),
    carried: input.context,
    volatile: print === null || print === known ? null : { text: volatile, print },
    prints: messages.flatMap((message) => (message.role === "user" ? [message.print] : [])),
    pastPrints: unnoted
      ? input.historyPrints
      : past && "history" in past
        ? past.history.flatMap(({ prints }) => prints)
        : [],
  };
}

const seenPrints = (told: readonly Told[]): readonly string[] =>
  told.flatMap(({ pastPrints, prints }) => [...pastPrints, ...prints]);

const unansweredPrints = (told: readonly Told[]): readonly string[] =>
  told.slice(told.findLastIndex(({ answered }) => answered) + 1).flatMap(({ prints }) => prints);

/** Of the last answered turn, as far as the client has not kept it. */
const missedPrints = (told: readonly Told[], { historyPrints }: Input): readonly string[] =>
  (told.findLast(({ answered }) => answered)?.prints ?? []).filter((print) => !historyPrints.includes(print));

const whole = ({ history }: Input): Past | null => (history.length === 0 ? null : { why: "new", history });

function pastOf(told: readonly Told[], { history, historyPrints }: Input, fromOpenClaw: boolean): Past | null {
  if (told.length === 0 || history.length === 0) return null;
  const inOrder = seenPrints(told);
  const seen = new Set(inOrder);
  // What stands before the first message that is known may be older than what is remembered of this session.
  const known = history.findIndex(({ prints }) => prints.some((print) => seen.has(print)));
  if (known < 0) return historyPrints.length === 0 ? null : { why: "changed", history };
  const unknown = history.findIndex(({ prints }, at) => at > known && prints.some((print) => !seen.has(print)));
  if (unknown >= 0) return { why: "changed", history: history.slice(unknown) };
  if (fromOpenClaw) return null;
  const there = new Set(historyPrints);
  const count = inOrder.length - 1 - inOrder.findLastIndex((print) => there.has(print));
  // An unanswered message stands in no history: it is asked again, or stands with the new ones.
  const unanswered = unansweredPrints(told).length;
  return count > unanswered ? { why: "taken back", count: count - unanswered } : null;
}

/**
 * Whether the client has begun anew under the same name: OpenClaw's reset. Nothing of what was said is in
 * the request, and its session has a higher generation, where that is said.
 */
export function isReset(
  told: readonly Told[],
  { input, fromOpenClaw }: Pick<Question, "input" | "fromOpenClaw">,
  generation: { readonly before: number | null; readonly now: number | null },
): boolean {
  if (!fromOpenClaw || input.hasHistory || !told.some(({ answered }) => answered)) return false;
  if (generation.before !== null && generation.now !== null) return generation.now > generation.before;
  const seen = new Set(seenPrints(told));
  return !input.newPrints.some((print) => seen.has(print));
}
