/**
 * In which branch of a conversation a request goes on. A chat program can ask several models side by side under one
 * name; what one of them was sent or has answered, the others must not see. So each has a branch of its own, with its
 * own Claude session. A person who merely changes the model goes on where they were: then the history holds what the
 * model before has answered.
 */

import { DEFAULT_MODEL } from "../claude/models.ts";
import type { ClientExchange } from "../intake/exchange.ts";
import { textFingerprint } from "../intake/fingerprint.ts";
import type { DeliveredTurn } from "../turn/delivered-turn.ts";
import { type DeliveryRequest, deliveredExchanges } from "./delivery-plan.ts";

export interface Branch {
  readonly key: string;
  /** Null for Claude's own default. */
  readonly model: string | null;
  /** Fingerprints of the user's messages of requests that wait or are served. */
  readonly pendingFingerprints: readonly (readonly string[])[];
  /** What its Claude session has received, oldest first. */
  readonly delivered: () => readonly DeliveredTurn[];
}

interface ModelRequest extends Pick<DeliveryRequest, "input" | "sendsHistory"> {
  readonly model: string | null;
}

/** The key of a model's branch. No client can name it: its own keys of this form are marked. */
export const branchKey = (conversation: string, model: string | null): string =>
  `model:${model ?? DEFAULT_MODEL}:${conversation}`;

/**
 * @param branches of the conversation, itself first
 * @returns null when the request begins a branch
 */
export function chooseBranch(branches: readonly Branch[], request: ModelRequest): Branch | null {
  const [main] = branches;
  if (!main) return null;
  const last = request.input.exchanges.at(-1);
  const same = branches.filter(({ model }) => model === request.model);
  const [first] = same;
  if (first) return same.length > 1 && last ? (same.find((branch) => endsWith(branch, last)) ?? first) : first;
  if (last) return branches.find((branch) => branch.pendingFingerprints.length === 0 && endsWith(branch, last)) ?? null;
  // Without a history: the same words, asked of another model too, or the next words of a client that sends no more.
  return request.sendsHistory || hasAsked(main, request.input.newFingerprints) ? null : main;
}

/** Whether the last answer in this branch is the one that the client has last. */
function endsWith(branch: Branch, last: ClientExchange): boolean {
  const answered = deliveredExchanges(branch.delivered()).findLast((exchange) => exchange.answered);
  if (!answered) return false;
  return answered.answer === null ? isSame(answered.users, last.users) : answered.answer === last.answer;
}

const hasAsked = ({ pendingFingerprints, delivered }: Branch, users: readonly string[]): boolean =>
  pendingFingerprints.some((some) => isSame(some, users)) ||
  deliveredExchanges(delivered()).some((exchange) => isSame(exchange.users, users));

/** Takes no longer than the shorter of the two: one long request is compared with all that was delivered. */
const isSame = (some: readonly string[], others: readonly string[]): boolean =>
  some.length === others.length &&
  some.every((fingerprint, at) => textFingerprint(fingerprint) === textFingerprint(others[at] ?? ""));
