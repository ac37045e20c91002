/**
 * What a request has to deliver to Claude. Clients send the whole conversation with every request; Claude has its own.
 * What Claude has been sent before must not be sent again; what it has not, or what no longer counts, is delivered.
 *
 * Pure: the turns that were delivered, and a request, give what to deliver now.
 */

import type { DeliveredExchange } from "../intake/exchange.ts";
import { messageFingerprint, textFingerprint } from "../intake/fingerprint.ts";
import type { Input, PastMessage } from "../intake/input.ts";
import type { NewMessage } from "../intake/new-message.ts";
import type { TurnRequest } from "../intake/turn-request.ts";
import type { Exchange } from "../store/schema.ts";
import type { DeliveredTurn } from "../turn/delivered-turn.ts";
import { type MatchOptions, matchHistory } from "./history-match.ts";
import { undelivered } from "./undelivered.ts";

/** The parts of a turn request that decide what is delivered. */
export type DeliveryRequest = Pick<TurnRequest, "input" | "traceId" | "volatile" | "fromOpenClaw" | "sendsHistory">;

export interface DeliveryPlan {
  /** Empty when Claude has received them all, or when the user has said nothing. */
  readonly messages: readonly NewMessage[];
  /** Claude has received them all, and has not answered. */
  readonly isAskedAgain: boolean;
  readonly past: Past | null;
  /** The client may not have Claude's last answer, and Claude does not know that. */
  readonly isLastAnswerTruncated: boolean;
  /** What the client's program wants Claude to know. */
  readonly carried: readonly string[];
  /** The volatile part of the system prompt, if Claude does not have it. */
  readonly volatile: { readonly text: string; readonly fingerprint: string } | null;
  /** Fingerprints of the user's messages that the answer will be the answer to. */
  readonly users: readonly string[];
  /** As in `DeliveredTurn`. */
  readonly dropped: number;
  readonly history: readonly Exchange[];
  /** Fingerprints of the user's messages as the client has them by now, by the exchanges of `DeliveredTurn`. */
  readonly rewritten: ReadonlyMap<Exchange, readonly string[]>;
}

/** What of the earlier conversation differs from what Claude knows. */
export type Past =
  /** Said before this Claude session began. */
  | { readonly why: "new"; readonly history: readonly PastMessage[] }
  /** Edited since, or said to another model: `history` is all behind `since`. */
  | { readonly why: "changed"; readonly history: readonly PastMessage[]; readonly since: Since }
  /** So many of the user's last messages, with what came of them, were taken back. */
  | { readonly why: "taken back"; readonly count: number };

/** Up to where Claude knows the conversation as the client has it. */
type Since =
  /** Up to the answer to this message of the user's. */
  | { readonly answerTo: string }
  /** Not even its first message. */
  | "start"
  /** Somewhere: the client does not keep all of it. */
  | "somewhere";

/** Fingerprints of the user's messages that a turn brought. */
const usersOf = ({ exchanges }: DeliveredTurn): readonly string[] => exchanges.flatMap(({ users }) => users);

/**
 * The turn in which Claude has answered this already, or may have: the client sends it again because the answer was
 * lost on its way.
 * @param turns oldest first, as in all of these
 */
export function findAnsweredTurn(turns: readonly DeliveredTurn[], { input, traceId }: DeliveryRequest): string | null {
  const asked = input.messages.flatMap((message) =>
    message.role === "user" && message.kind !== "continue" ? [message.fingerprint] : [],
  );
  if (traceId === null || asked.length === 0 || input.messages.some(({ role }) => role === "tool")) return null;
  const given = turns.findLast((turn) => (turn.answered || turn.truncation === "lost") && turn.traceId === traceId);
  const users = new Set(given && usersOf(given));
  return given && asked.every((fingerprint) => users.has(fingerprint)) ? given.turn : null;
}

export interface PlanOptions extends MatchOptions {
  /** The Claude session is new, and knows nothing. */
  readonly isFresh: boolean;
  /** `deliveredExchanges` of the turns. */
  readonly delivered: readonly DeliveredExchange[];
}

export function planDelivery(
  turns: readonly DeliveredTurn[],
  question: DeliveryRequest,
  options: PlanOptions,
): DeliveryPlan {
  const { input, volatile, fromOpenClaw } = question;
  const delta = options.isFresh
    ? everything(input)
    : turns.length === 0
      ? // Of a session from before deliveries were noted, only this is known: its Claude was there.
        { ...nothing(input.messages), history: input.exchanges.map((exchange) => exchange.toExchange()) }
      : fromOpenClaw
        ? openClawDelta(turns, input)
        : exactDelta(turns, question, options);
  const fingerprint = volatile === "" ? null : messageFingerprint(volatile);
  const known = turns.findLast((turn) => turn.volatile !== null)?.volatile;
  const { messages, users = usersIn(messages) } = delta;
  return {
    ...delta,
    users,
    isAskedAgain: messages.length === 0 && input.messages.length > 0,
    // A client that brings results has the calls, and so the answer.
    isLastAnswerTruncated:
      !options.isFresh && (turns.at(-1)?.truncation ?? null) !== null && !messages.some(({ role }) => role === "tool"),
    carried: input.context,
    volatile: fingerprint === null || fingerprint === known ? null : { text: volatile, fingerprint: fingerprint },
  };
}

const usersIn = (messages: readonly NewMessage[]): readonly string[] =>
  messages.flatMap((message) => (message.role === "user" ? [message.fingerprint] : []));

interface Delta extends Pick<DeliveryPlan, "messages" | "past" | "dropped" | "history" | "rewritten"> {
  /** Where they are not those of `messages`. */
  readonly users?: readonly string[];
}

const nothing = (messages: readonly NewMessage[]): Delta => ({
  messages,
  past: null,
  dropped: 0,
  history: [],
  rewritten: new Map(),
});

/** For a Claude session that begins. */
const everything = ({ messages, history, exchanges }: Input): Delta => ({
  ...nothing(messages),
  past: history.length === 0 ? null : { why: "new", history },
  history: exchanges.map((exchange) => exchange.toExchange()),
});

/** The conversation as Claude knows it. */
export function deliveredExchanges(turns: readonly DeliveredTurn[]): DeliveredExchange[] {
  const all: DeliveredExchange[] = [];
  for (const turn of turns) addExchanges(all, turn);
  return all;
}

/** Changes `all` as the next turn changed the conversation. */
export function addExchanges(all: DeliveredExchange[], delivered: DeliveredTurn): void {
  const { turn, dropped, history, exchanges, answered } = delivered;
  all.length = Math.max(0, all.length - dropped);
  for (const noted of history) all.push({ ...noted, turn, answered: true, noted });
  for (const [at, noted] of exchanges.entries()) {
    const before = all.at(-1);
    // Results that came too late to be an answer to their calls: what followed belongs to the exchange before.
    if (noted.users.length === 0 && before) all.splice(-1, 1, { ...before, answer: null });
    // What Claude asked in between, it did ask.
    else all.push({ ...noted, turn, answered: answered || at < exchanges.length - 1, noted });
  }
}

/** For a client whose history is the conversation as its user sees it. */
function exactDelta(turns: readonly DeliveredTurn[], question: DeliveryRequest, options: PlanOptions): Delta {
  const { input } = question;
  const { exchanges, history } = input;
  const { delivered } = options;
  const { kept, known, rewritten } = matchHistory(delivered, exchanges, options);
  const rest = delivered.slice(kept);
  const change = exchanges[known];
  if (change) {
    const answerTo = exchanges[known - 1]?.userText(-1);
    const since = answerTo ? { answerTo } : known + kept === 0 ? "start" : "somewhere";
    return {
      messages: input.messages,
      past: { why: "changed", history: history.slice(change.at), since },
      dropped: rest.length,
      history: exchanges.slice(known).map((exchange) => exchange.toExchange()),
      rewritten,
    };
  }
  const lastAnswered = rest.findLastIndex(({ answered }) => answered);
  const waiting = rest.slice(lastAnswered + 1).flatMap(({ users }) => users);
  // An unanswered message is in no history: it is sent again, or stands with the new ones.
  if (lastAnswered < 0) return { ...nothing(withoutFirst(input.messages, waiting)), rewritten };
  const answer = turns.findLast(({ answered }) => answered);
  const isLast = rest.slice(0, lastAnswered + 1).every(({ turn, answered }) => !answered || turn === answer?.turn);
  const more = isLast && answer ? withoutFirst(input.messages, [...usersOf(answer), ...waiting]) : [];
  // The client left while Claude came to its end: it sends that message again, with more, and has no answer to it.
  if (more.length > 0 && more.length < input.messages.length) {
    return { ...nothing(more), users: usersIn(input.messages), dropped: rest.length, rewritten };
  }
  const sendsHistory = question.sendsHistory || turns.some(({ hadHistory }) => hadHistory);
  // A client that sends only what is new has not taken anything back.
  if (exchanges.length === 0 && !sendsHistory) return { ...nothing(withoutFirst(input.messages, waiting)), rewritten };
  const count = rest.slice(0, lastAnswered + 1).reduce((sum, { users }) => sum + users.length, 0);
  return { ...nothing(input.messages), past: { why: "taken back", count }, dropped: rest.length, rewritten };
}

/** The messages without those at their beginning that were delivered before, in this order. */
function withoutFirst(messages: readonly NewMessage[], delivered: readonly string[]): readonly NewMessage[] {
  let at = 0;
  const first = messages.findIndex((message) => {
    if (message.role === "tool") return true;
    const found = delivered.indexOf(message.fingerprint, at);
    at = found + 1;
    return found < 0;
  });
  return first < 0 ? [] : messages.slice(first);
}

/**
 * For OpenClaw. It drops from its history what it does not think worth keeping, and tells a turn again in other words,
 * so only this is a change: a message in it that Claude was never sent.
 */
function openClawDelta(turns: readonly DeliveredTurn[], input: Input): Delta {
  const waiting = new Set(
    turns.slice(turns.findLastIndex(({ answered }) => answered) + 1).flatMap((turn) => usersOf(turn)),
  );
  const inHistory = new Set(input.historyFingerprints);
  const answer = turns.findLast(({ answered }) => answered);
  // The client may have left while Claude came to its end: then it sends again, with more, what was answered.
  const missed = new Set([
    ...waiting,
    ...(answer ? usersOf(answer) : []).filter((fingerprint) => !inHistory.has(fingerprint)),
  ]);
  const rest = undelivered(input.messages, (fingerprint) => missed.has(fingerprint));
  // Nothing more is the question asked anew.
  const messages = rest.length > 0 ? rest : undelivered(input.messages, (fingerprint) => waiting.has(fingerprint));
  const change = unknownFrom(turns, input);
  if (change < 0) return nothing(messages);
  const history = input.history.slice(change);
  return {
    ...nothing(messages),
    past: { why: "changed", history, since: "somewhere" },
    history: [{ users: history.flatMap(({ fingerprints }) => fingerprints), answer: null }],
  };
}

/** Where in the history the first message stands that Claude was never sent; -1 when there is none. */
function unknownFrom(turns: readonly DeliveredTurn[], { history, historyFingerprints }: Input): number {
  if (turns.length === 0 || history.length === 0) return -1;
  const seen = seenBy(turns);
  const isSeen = (fingerprint: string) => seen.has(textFingerprint(fingerprint));
  // What stands before the first message that is known may be older than what is remembered of this session.
  const known = history.findIndex(({ fingerprints }) => fingerprints.some(isSeen));
  if (known < 0) return historyFingerprints.length === 0 ? -1 : 0;
  return history.findIndex(
    ({ fingerprints }, at) => at > known && fingerprints.some((fingerprint) => !isSeen(fingerprint)),
  );
}

/** Fingerprints of the texts that Claude was ever sent. */
const seenBy = (turns: readonly DeliveredTurn[]): ReadonlySet<string> =>
  new Set(
    turns.flatMap((turn) => [...turn.history.flatMap(({ users }) => users), ...usersOf(turn)]).map(textFingerprint),
  );

/**
 * Whether the client has begun anew under the same name: OpenClaw's reset. Nothing of what was said is in the request,
 * and its session has a higher generation, where that is given.
 */
export function isReset(
  turns: readonly DeliveredTurn[],
  { input, fromOpenClaw }: Pick<DeliveryRequest, "input" | "fromOpenClaw">,
  generation: { readonly before: number | null; readonly now: number | null },
): boolean {
  if (!fromOpenClaw || input.hasHistory || !turns.some(({ answered }) => answered)) return false;
  if (generation.before !== null && generation.now !== null) return generation.now > generation.before;
  const seen = seenBy(turns);
  return !input.newFingerprints.some((fingerprint) => seen.has(textFingerprint(fingerprint)));
}
