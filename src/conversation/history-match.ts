/**
 * Finds how far the client's history matches the conversation as Claude knows it. Both are lists of exchanges, compared
 * in order and by equality. The client may have left out the oldest exchanges, and those that Claude never answered.
 *
 * Pure, and linear in the length of both lists.
 */

import type { ClientExchange } from "../intake/exchange.ts";
import { textFingerprint } from "../intake/fingerprint.ts";
import type { Exchange } from "../store/schema.ts";
import type { DeliveredExchange } from "./delivered-exchange.ts";

export interface HistoryMatch {
  /** How many of the delivered exchanges match. The client's history does not have those after them. */
  readonly kept: number;
  /** How many of the client's exchanges match. Claude does not know those after them. */
  readonly known: number;
  /** The fingerprints of the user's messages as the client's history has them, for exchanges that it has rewritten. */
  readonly rewritten: ReadonlyMap<Exchange, readonly string[]>;
}

export interface MatchOptions {
  /** Claude may have received more exchanges before the first one in the list. */
  readonly isTruncated: boolean;
  /** The text of a turn's message as it was sent to Claude; null when it cannot be read. */
  readonly sentText: (turn: string) => string | null;
}

export function matchHistory(
  delivered: readonly DeliveredExchange[],
  client: readonly ClientExchange[],
  options: MatchOptions,
): HistoryMatch {
  const rewritten = new Map<Exchange, readonly string[]>();
  let { kept, known } = findStart(delivered, client, options);
  while (known < client.length) {
    const match = matchOne(delivered, kept, client[known] as ClientExchange, options.sentText);
    if (!match) break;
    const recorded = delivered[match.next - 1]?.recorded;
    if (match.users && recorded) rewritten.set(recorded, match.users);
    kept = match.next;
    known += 1;
  }
  return { kept, known, rewritten };
}

/** Where the comparison starts. The client may have dropped the oldest exchanges, and so may the server. */
function findStart(
  delivered: readonly DeliveredExchange[],
  client: readonly ClientExchange[],
  { isTruncated, sentText }: MatchOptions,
): { kept: number; known: number } {
  const [first] = client;
  if (!first || matchOne(delivered, 0, first, sentText)) return { kept: 0, known: 0 };
  const answered = delivered.flatMap((exchange, index) => (exchange.answered ? [index] : []));
  const keys = answered.map((index) => keyOf(delivered[index]?.users ?? []));
  const clientKeys = client.map(({ users }) => keyOf(users));
  // Where the client's history starts, if the client has dropped the exchanges before it.
  const trimmed = keys.length - overlap(clientKeys, keys);
  const at = trimmed < keys.length ? trimmed : keys.lastIndexOf(clientKeys[0] ?? "");
  if (at >= 0) return { kept: answered[at] ?? 0, known: 0 };
  // Where the remembered exchanges start in the client's history, if the server has dropped the ones before them.
  const older = isTruncated ? clientKeys.indexOf(keys[0] ?? "") : -1;
  return older >= 0 ? { kept: answered[0] ?? 0, known: older } : { kept: 0, known: 0 };
}

const keyOf = (users: readonly string[]): string => users.map(textFingerprint).join();

/** The length of the longest suffix of `text` that is a prefix of `pattern` (Knuth, Morris and Pratt). */
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
 * Compares one exchange of the client with the delivered exchanges from index `at` on.
 * @returns the index after the match, with the client's fingerprints if it has rewritten the exchange; null when they
 * differ
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
    if (!sameTexts(exchange.users, users.slice(used, used + exchange.users.length))) continue;
    used += exchange.users.length;
    if (used < users.length) continue;
    // The client has kept the part of the answer that it received. If it received none, another model has answered.
    return exchange.hasFailed && client.answer !== "" && !client.isOpen ? null : { next };
  }
  const exchange = delivered[next];
  if (!exchange) return null;
  const rest = users.slice(used);
  const isAnswer = exchange.answer === null || client.isOpen || exchange.answer === client.answer;
  if (sameTexts(exchange.users, rest)) return isAnswer ? { next: next + 1 } : null;
  // A message that the user edits gets a new answer. When the answer is the same, the client's program changed the
  // message: it had added a note or a text that it looked up, and does not keep what it adds in its history.
  if (!isAnswer || !exchange.answer) return null;
  // Each message is searched for in the whole text that was sent, which takes too long for many messages.
  if (rest.length > MAX_SEARCHES) return null;
  const sent = new Set(exchange.users.map(textFingerprint));
  const isPart = (fingerprint: string, text: string) =>
    sent.has(textFingerprint(fingerprint)) || contains(sentText(exchange.turn) ?? "", text);
  return rest.every((fingerprint, index) => isPart(fingerprint, client.userText(used + index)))
    ? { next: next + 1, users: rest }
    : null;
}

/** Whether messages have the same texts, by their fingerprints. Lists of different lengths take no time. */
export const sameTexts = (some: readonly string[], others: readonly string[]): boolean =>
  some.length === others.length &&
  some.every((fingerprint, at) => textFingerprint(fingerprint) === textFingerprint(others[at] ?? ""));

/** Each search takes time in proportion to the text, and a repetitive text could match very often. */
const MAX_SEARCHES = 16;

/** Whether `whole` contains `text`, and not in the middle of a word. Both are plain texts. */
function contains(whole: string, text: string): boolean {
  const isWord = (character: string | undefined) => character !== undefined && /[\p{L}\p{N}]/u.test(character);
  let at = whole.indexOf(text);
  for (let searches = 0; at >= 0 && searches < MAX_SEARCHES; searches += 1, at = whole.indexOf(text, at + 1)) {
    const end = at + text.length;
    const cutsBefore = isWord(whole[at - 1]) && isWord(whole[at]);
    const cutsAfter = isWord(whole[end]) && isWord(whole[end - 1]);
    if (!cutsBefore && !cutsAfter) return true;
  }
  return false;
}
