/**
 * How far the client's history is the conversation as Claude knows it. Both are lists of exchanges. They are compared
 * in order and by equality; the client may have left out the oldest, and whatever was never answered.
 *
 * Pure, and linear in the length of both.
 */

import type { ClientExchange, DeliveredExchange } from "../intake/exchange.ts";
import { textFingerprint } from "../intake/fingerprint.ts";
import type { Exchange } from "../store/schema.ts";

export interface HistoryMatch {
  /** So many of the delivered exchanges still count: those behind them are not in the client's history. */
  readonly kept: number;
  /** So many of the client's exchanges Claude knows; it does not know those behind them. */
  readonly known: number;
  /** The fingerprints that the user's messages of an exchange have in the client's history, where it was rewritten. */
  readonly rewritten: ReadonlyMap<Exchange, readonly string[]>;
}

export interface MatchOptions {
  /** What is delivered may have begun before the first exchange that is remembered. */
  readonly isTruncated: boolean;
  /** The text in which a turn was sent to Claude; null when it cannot be read. */
  readonly sentText: (turn: string) => string | null;
}

export function matchHistory(
  delivered: readonly DeliveredExchange[],
  client: readonly ClientExchange[],
  options: MatchOptions,
): HistoryMatch {
  const rewritten = new Map<Exchange, readonly string[]>();
  let { kept, known } = startOf(delivered, client, options);
  while (known < client.length) {
    const match = matchOne(delivered, kept, client[known] as ClientExchange, options.sentText);
    if (!match) break;
    const noted = delivered[match.next - 1]?.noted;
    if (match.users && noted) rewritten.set(noted, match.users);
    kept = match.next;
    known += 1;
  }
  return { kept, known, rewritten };
}

/** Where the comparison begins: a client may have trimmed its history, and we may remember less than it. */
function startOf(
  delivered: readonly DeliveredExchange[],
  client: readonly ClientExchange[],
  { isTruncated, sentText }: MatchOptions,
): { kept: number; known: number } {
  const [first] = client;
  if (!first || matchOne(delivered, 0, first, sentText)) return { kept: 0, known: 0 };
  const answered = delivered.flatMap((exchange, index) => (exchange.answered ? [index] : []));
  const keys = answered.map((index) => keyOf(delivered[index]?.users ?? []));
  const clientKeys = client.map(({ users }) => keyOf(users));
  const trimmed = keys.length - overlap(clientKeys, keys);
  const at = trimmed < keys.length ? trimmed : keys.lastIndexOf(clientKeys[0] ?? "");
  if (at >= 0) return { kept: answered[at] ?? 0, known: 0 };
  const older = isTruncated ? clientKeys.indexOf(keys[0] ?? "") : -1;
  return older >= 0 ? { kept: answered[0] ?? 0, known: older } : { kept: 0, known: 0 };
}

const keyOf = (users: readonly string[]): string => users.map(textFingerprint).join();

/** The length of the longest end of `text` with which `pattern` begins (Knuth, Morris and Pratt). */
function overlap(pattern: readonly string[], text: readonly string[]): number {
  const failure = [0];
  for (let at = 1, length = 0; at < pattern.length; at += 1) {
    while (length > 0 && pattern[at] !== pattern[length]) length = failure[length - 1] ?? 0;
    if (pattern[at] === pattern[length]) length += 1;
    failure[at] = length;
  }
  let length = 0;
  for (const key of text) {
    if (length === pattern.length) length = failure[length - 1] ?? 0;
    while (length > 0 && pattern[length] !== key) length = failure[length - 1] ?? 0;
    if (pattern[length] === key) length += 1;
  }
  return length;
}

/**
 * Compares one exchange of the client's with what was delivered from `at` on.
 * @returns the index behind it, and the client's fingerprints where it has rewritten it; null when they differ
 */
function matchOne(
  delivered: readonly DeliveredExchange[],
  at: number,
  client: ClientExchange,
  sentText: MatchOptions["sentText"],
): { next: number; users?: readonly string[] } | null {
  const { users } = client;
  let used = 0;
  let next = at;
  for (let exchange = delivered[next]; exchange && !exchange.answered; exchange = delivered[next]) {
    next += 1;
    if (!isSame(exchange.users, users.slice(used, used + exchange.users.length))) continue;
    used += exchange.users.length;
    // The client has kept what there was of the answer.
    if (used === users.length) return { next };
  }
  const exchange = delivered[next];
  if (!exchange) return null;
  const rest = users.slice(used);
  const isAnswer = exchange.answer === null || client.isOpen || exchange.answer === client.answer;
  if (isSame(exchange.users, rest)) return isAnswer ? { next: next + 1 } : null;
  // A person who edits their words has them answered anew. Under the very same answer it was the client's program
  // that sent more than it keeps: a note behind each newest message, or the words wrapped in what it had looked up.
  if (!isAnswer || !exchange.answer) return null;
  // Each of them is looked for in all that was sent.
  if (rest.length > MAX_LOOKS) return null;
  const sent = new Set(exchange.users.map(textFingerprint));
  const isPart = (fingerprint: string, text: string) =>
    sent.has(textFingerprint(fingerprint)) || holds(sentText(exchange.turn) ?? "", text);
  return rest.every((fingerprint, index) => isPart(fingerprint, client.userText(used + index)))
    ? { next: next + 1, users: rest }
    : null;
}

const isSame = (some: readonly string[], others: readonly string[]): boolean =>
  some.length === others.length &&
  some.every((fingerprint, at) => textFingerprint(fingerprint) === textFingerprint(others[at] ?? ""));

/** Each costs as much as the text is long: a text that repeats itself must not be looked for at all of them. */
const MAX_LOOKS = 16;

/** Whether `text` stands in `whole`, not in the middle of a word. Both are plain. */
function holds(whole: string, text: string): boolean {
  const isWord = (character: string | undefined) => character !== undefined && /[\p{L}\p{N}]/u.test(character);
  let at = whole.indexOf(text);
  for (let looks = 0; at >= 0 && looks < MAX_LOOKS; looks += 1, at = whole.indexOf(text, at + 1)) {
    const end = at + text.length;
    const cutsBefore = isWord(whole[at - 1]) && isWord(whole[at]);
    const cutsAfter = isWord(whole[end]) && isWord(whole[end - 1]);
    if (!cutsBefore && !cutsAfter) return true;
  }
  return false;
}
