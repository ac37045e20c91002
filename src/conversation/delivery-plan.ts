/**
 * Plans what a request delivers to Claude. Clients send the whole conversation with every request, and Claude has the
 * conversation already. So the plan holds what Claude has not received, and what the client has changed since.
 *
 * Pure: the plan follows from the delivered turns and the request.
 */

import { messageFingerprint, textFingerprint } from "../intake/fingerprint.ts";
import type { Input, PastMessage } from "../intake/input.ts";
import type { NewMessage } from "../intake/new-message.ts";
import type { TurnRequest } from "../intake/turn-request.ts";
import type { Exchange } from "../store/schema.ts";
import type { DeliveredTurn } from "../turn/delivered-turn.ts";
import type { DeliveredExchange } from "./delivered-exchange.ts";
import { type MatchOptions, matchHistory } from "./history-match.ts";
import { undelivered } from "./undelivered.ts";

/** The parts of a turn request that decide what is delivered. */
export type DeliveryRequest = Pick<
  TurnRequest,
  "input" | "traceId" | "volatile" | "fromOpenClaw" | "sendsHistory" | "previousTurn"
>;

export interface DeliveryPlan {
  /** The new messages. Empty when Claude has received all of them, or when the request has none. */
  readonly messages: readonly NewMessage[];
  /** Claude has received all messages of the request, and has not answered them. */
  readonly isUnansweredRepeat: boolean;
  readonly past: Past | null;
  /** The client may have only a part of Claude's last answer, and Claude does not know that. */
  readonly isLastAnswerTruncated: boolean;
  /** Context that the client's program adds for Claude. */
  readonly context: readonly string[];
  /** The volatile part of the system prompt, if Claude does not have this version of it. */
  readonly volatile: { readonly text: string; readonly fingerprint: string } | null;
  /** Fingerprints of the user's messages that Claude will answer. */
  readonly users: readonly string[];
  /** How many of the delivered exchanges no longer count. */
  readonly dropped: number;
  /** Earlier exchanges that Claude knows from now on: this plan delivers them, or they are assumed to be known. */
  readonly history: readonly Exchange[];
  /** For exchanges that the client's history has rewritten: the fingerprints of its user messages now. */
  readonly rewritten: ReadonlyMap<Exchange, readonly string[]>;
}

/** How the earlier conversation differs from what Claude knows. */
export type Past =
  /** The Claude session is new, and the client has a history from before it. */
  | { readonly why: "new"; readonly history: readonly PastMessage[] }
  /** The client edited the conversation, or continued it with another model. `history` is everything after `since`. */
  | { readonly why: "changed"; readonly history: readonly PastMessage[]; readonly since: Since }
  | Removed;

/** The client removed this many of the user's last messages, with the answers to them. */
interface Removed {
  readonly why: "removed";
  readonly count: number;
}

/** The point up to which the client's conversation is the one that Claude knows. */
type Since =
  /** The answer to this message of the user. */
  | { readonly answerTo: string }
  /** What is left without these messages. */
  | Removed
  /** The start: no exchange matches. */
  | "start"
  /** An unknown point, because the client does not keep the whole history. */
  | "unknown";

/** The fingerprints of the user's messages in a turn. */
const usersOf = ({ exchanges }: DeliveredTurn): readonly string[] => exchanges.flatMap(({ users }) => users);

/**
 * Finds the turn in which Claude has, or may have, answered this request already. The client then sends the request
 * again because the answer was lost on its way.
 * @param turns oldest first, as everywhere in this file
 * @returns the turn's id; null when there is none
 */
export function findAnsweredTurn(turns: readonly DeliveredTurn[], { input, traceId }: DeliveryRequest): string | null {
  const users = input.messages.flatMap((message) =>
    message.role === "user" && message.kind !== "continue" ? [message.fingerprint] : [],
  );
  if (traceId === null || users.length === 0 || input.messages.some(({ role }) => role === "tool")) return null;
  const candidate = turns.findLast((turn) => (turn.answered || turn.truncation === "lost") && turn.traceId === traceId);
  const known = new Set(candidate && usersOf(candidate));
  return candidate && users.every((fingerprint) => known.has(fingerprint)) ? candidate.turn : null;
}

export interface PlanOptions extends MatchOptions {
  /** The Claude session is new, so Claude has received nothing yet. */
  readonly isFresh: boolean;
  /** `deliveredExchanges` of the turns. */
  readonly delivered: readonly DeliveredExchange[];
}

export function planDelivery(
  turns: readonly DeliveredTurn[],
  request: DeliveryRequest,
  options: PlanOptions,
): DeliveryPlan {
  const { input, volatile, fromOpenClaw } = request;
  const delta = options.isFresh
    ? everything(input)
    : turns.length === 0
      ? // An older version of the server did not record deliveries. Claude knows the history of such a session.
        { ...messagesOnly(input.messages), history: input.exchanges.map((exchange) => exchange.toExchange()) }
      : fromOpenClaw
        ? openClawDelta(turns, input)
        : exactDelta(turns, request, options);
  const fingerprint = volatile === "" ? null : messageFingerprint(volatile);
  const knownVolatile = turns.findLast((turn) => turn.volatile !== null)?.volatile;
  const { messages, users = usersIn(messages) } = delta;
  return {
    ...delta,
    users,
    isUnansweredRepeat: messages.length === 0 && input.messages.length > 0,
    // A client that sends tool results has received the calls, and so the answer.
    isLastAnswerTruncated:
      !options.isFresh && (turns.at(-1)?.truncation ?? null) !== null && !messages.some(({ role }) => role === "tool"),
    context: input.context,
    volatile: fingerprint === null || fingerprint === knownVolatile ? null : { text: volatile, fingerprint },
  };
}

const usersIn = (messages: readonly NewMessage[]): readonly string[] =>
  messages.flatMap((message) => (message.role === "user" ? [message.fingerprint] : []));

interface Delta extends Pick<DeliveryPlan, "messages" | "past" | "dropped" | "history" | "rewritten"> {
  /** Absent when they are those of `messages`. */
  readonly users?: readonly string[];
}

/** The new messages, and no change to what Claude knows. */
const messagesOnly = (messages: readonly NewMessage[]): Delta => ({
  messages,
  past: null,
  dropped: 0,
  history: [],
  rewritten: new Map(),
});

/** For a new Claude session: the new messages and the whole history. */
const everything = ({ messages, history, exchanges }: Input): Delta => ({
  ...messagesOnly(messages),
  past: history.length === 0 ? null : { why: "new", history },
  history: exchanges.map((exchange) => exchange.toExchange()),
});

/** The conversation as Claude knows it. */
export function deliveredExchanges(turns: readonly DeliveredTurn[]): DeliveredExchange[] {
  const all: DeliveredExchange[] = [];
  for (const turn of turns) addExchanges(all, turn);
  return all;
}

/** Adds the next turn to the exchanges. */
export function addExchanges(all: DeliveredExchange[], delivered: DeliveredTurn): void {
  const { turn, dropped, history, exchanges, answered, hasFailed } = delivered;
  all.length = Math.max(0, all.length - dropped);
  for (const recorded of history) all.push({ ...recorded, turn, answered: true, hasFailed: false, recorded });
  for (const [at, recorded] of exchanges.entries()) {
    const before = all.at(-1);
    // A turn without user messages had tool results whose own turn had ended, or asked again for an answer. It continues
    // the previous exchange.
    if (recorded.users.length === 0 && before) all.splice(-1, 1, { ...before, answer: null, hasFailed });
    // Exchanges before the last one ended with a permission prompt, which counts as an answer.
    else all.push({ ...recorded, turn, answered: answered || at < exchanges.length - 1, hasFailed, recorded });
  }
}

/** For clients whose history is the conversation as the user sees it. */
function exactDelta(turns: readonly DeliveredTurn[], request: DeliveryRequest, options: PlanOptions): Delta {
  const { input, previousTurn } = request;
  const { exchanges, history } = input;
  const { delivered } = options;
  if (previousTurn !== undefined) return deltaAfter(previousTurn, input, delivered);
  const { kept, known, rewritten } = matchHistory(delivered, exchanges, options);
  const unmatched = delivered.slice(kept);
  const change = exchanges[known];
  if (change) {
    const answerTo = exchanges[known - 1]?.userText(-1);
    const since = answerTo ? { answerTo } : known + kept === 0 ? "start" : "unknown";
    return {
      messages: input.messages,
      past: { why: "changed", history: history.slice(change.at), since },
      dropped: unmatched.length,
      history: exchanges.slice(known).map((exchange) => exchange.toExchange()),
      rewritten,
    };
  }
  const lastAnswered = unmatched.findLastIndex(({ answered }) => answered);
  const unanswered = unmatched.slice(lastAnswered + 1).flatMap(({ users }) => users);
  // Histories do not have unanswered messages: clients send them again, alone or with the new messages.
  if (lastAnswered < 0) return { ...messagesOnly(withoutFirst(input.messages, unanswered)), rewritten };
  const answer = turns.findLast(({ answered }) => answered);
  const isLast = unmatched.slice(0, lastAnswered + 1).every(({ turn, answered }) => !answered || turn === answer?.turn);
  const more = isLast && answer ? withoutFirst(input.messages, [...usersOf(answer), ...unanswered]) : [];
  // The client disconnected before the answer was complete. It sends that message again, with more messages.
  if (more.length > 0 && more.length < input.messages.length) {
    return { ...messagesOnly(more), users: usersIn(input.messages), dropped: unmatched.length, rewritten };
  }
  const sendsHistory = request.sendsHistory || turns.some(({ hadHistory }) => hadHistory);
  // A client that sends no history has not removed anything.
  if (exchanges.length === 0 && !sendsHistory)
    return { ...messagesOnly(withoutFirst(input.messages, unanswered)), rewritten };
  const count = unmatched.slice(0, lastAnswered + 1).reduce((sum, { users }) => sum + users.length, 0);
  return { ...messagesOnly(input.messages), past: { why: "removed", count }, dropped: unmatched.length, rewritten };
}

/** For a request that names the turn that it continues. The exchanges since then no longer count. */
function deltaAfter(turn: string, input: Input, delivered: readonly DeliveredExchange[]): Delta {
  let kept = delivered.findLastIndex((exchange) => exchange.turn === turn) + 1;
  // An answer that was not valid JSON was given again in a turn of its own, to the same messages.
  const isRepeat = (last = delivered[kept - 1], next = delivered[kept]) =>
    last !== undefined && next !== undefined && !last.answered && Bun.deepEquals(last.users, next.users);
  while (isRepeat()) kept += 1;
  const later = delivered.slice(kept);
  const count = later.reduce((sum, { users }) => sum + users.length, 0);
  const { messages, history, exchanges } = input;
  const removed = count === 0 ? null : ({ why: "removed", count } as const);
  return {
    ...messagesOnly(messages),
    // The client may add what was said elsewhere.
    past: history.length === 0 ? removed : { why: "changed", history, since: removed ?? "unknown" },
    dropped: later.length,
    history: exchanges.map((exchange) => exchange.toExchange()),
  };
}

/** The messages without the first ones that were delivered before, in this order. */
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
 * For OpenClaw. It drops messages from its history and rewrites others, so only two things count as a change: a message
 * in the history that Claude has never received, and another model's answer to a message that Claude could not answer.
 */
function openClawDelta(turns: readonly DeliveredTurn[], input: Input): Delta {
  const unanswered = new Set(
    turns.slice(turns.findLastIndex(({ answered }) => answered) + 1).flatMap((turn) => usersOf(turn)),
  );
  const inHistory = new Set(input.historyFingerprints);
  const answer = turns.findLast(({ answered }) => answered);
  // OpenClaw may have disconnected before the answer was complete. It then sends the answered message again, with more.
  const missed = new Set([
    ...unanswered,
    ...(answer ? usersOf(answer) : []).filter((fingerprint) => !inHistory.has(fingerprint)),
  ]);
  const rest = undelivered(input.messages, (fingerprint) => missed.has(fingerprint));
  // When nothing else is new, the user wants another answer to the same message.
  const messages = rest.length > 0 ? rest : undelivered(input.messages, (fingerprint) => unanswered.has(fingerprint));
  const changes = [firstUnknown(turns, input), firstForeignAnswer(turns, input)].filter((at) => at >= 0);
  if (changes.length === 0) return messagesOnly(messages);
  const change = Math.min(...changes);
  const history = input.history.slice(change);
  return {
    ...messagesOnly(messages),
    past: { why: "changed", history, since: "unknown" },
    history: [{ users: history.flatMap(({ fingerprints }) => fingerprints), answer: null }],
  };
}

/** The index in the history of the first message that Claude has never received; -1 when there is none. */
function firstUnknown(turns: readonly DeliveredTurn[], { history, historyFingerprints }: Input): number {
  if (turns.length === 0 || history.length === 0) return -1;
  const received = receivedTexts(turns);
  const isReceived = (fingerprint: string) => received.has(textFingerprint(fingerprint));
  // Messages before the first known one may be older than the turns that the server remembers.
  const known = history.findIndex(({ fingerprints }) => fingerprints.some(isReceived));
  if (known < 0) return historyFingerprints.length === 0 ? -1 : 0;
  return history.findIndex(
    ({ fingerprints }, at) => at > known && fingerprints.some((fingerprint) => !isReceived(fingerprint)),
  );
}

/**
 * The index in the history of the first answer that another model has given to a message that Claude received and could
 * not answer; -1 when there is none. OpenClaw fails over to another model then.
 */
function firstForeignAnswer(turns: readonly DeliveredTurn[], { history }: Input): number {
  // The message of a turn with a history had everything up to that turn.
  const from = turns.findLastIndex((turn) => turn.history.length > 0);
  const since = Math.max(turns.findLastIndex(({ answered }) => answered) + 1, from);
  const failed = new Set(
    turns.slice(since).flatMap((turn) => (turn.hasFailed ? usersOf(turn).map(textFingerprint) : [])),
  );
  if (failed.size === 0) return -1;
  return history.findIndex(
    ({ role, text }, at) =>
      // OpenClaw also has an error that it got as text for an answer.
      role === "assistant" &&
      !/^(?:> )?\[synthesis:/.test(text) &&
      history[at - 1]?.fingerprints.some((fingerprint) => failed.has(textFingerprint(fingerprint))) === true,
  );
}

/** The fingerprints of all texts that Claude has received. */
const receivedTexts = (turns: readonly DeliveredTurn[]): ReadonlySet<string> =>
  new Set(
    turns.flatMap((turn) => [...turn.history.flatMap(({ users }) => users), ...usersOf(turn)]).map(textFingerprint),
  );

/**
 * Whether OpenClaw has reset the conversation: it starts again under the same session key. The request then has no
 * history, and its session has a higher generation, if the client sends one.
 */
export function isReset(
  turns: readonly DeliveredTurn[],
  { input, fromOpenClaw }: Pick<DeliveryRequest, "input" | "fromOpenClaw">,
  generation: { readonly before: number | null; readonly now: number | null },
): boolean {
  if (!fromOpenClaw || input.hasHistory || !turns.some(({ answered }) => answered)) return false;
  if (generation.before !== null && generation.now !== null) return generation.now > generation.before;
  const received = receivedTexts(turns);
  return !input.newFingerprints.some((fingerprint) => received.has(textFingerprint(fingerprint)));
}
