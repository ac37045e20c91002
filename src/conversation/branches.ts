/**
 * Chooses the branch of a conversation that a request belongs to. A chat program can ask several models side by side
 * under one session key, and none of them may see what another one received or answered. So each model has a branch with
 * its own Claude session. A user who only switches the model stays in the branch: the history then has the answer of the
 * previous model.
 */

import { DEFAULT_MODEL } from "../claude/models.ts";
import type { ClientExchange } from "../intake/exchange.ts";
import type { DeliveredTurn } from "../turn/delivered-turn.ts";
import { type DeliveryRequest, deliveredExchanges } from "./delivery-plan.ts";
import { sameTexts } from "./history-match.ts";

export interface Branch {
  readonly key: string;
  /** Null for Claude's own default. */
  readonly model: string | null;
  /** The fingerprints of the user's messages in each request that waits or is being served. */
  readonly pendingFingerprints: readonly (readonly string[])[];
  /** What its Claude session has received, oldest first. */
  readonly delivered: () => readonly DeliveredTurn[];
}

interface ModelRequest extends Pick<DeliveryRequest, "input" | "sendsHistory"> {
  readonly model: string | null;
}

/** The session key of a model's branch. A client cannot name it, because a client's own keys get a prefix. */
export const branchKey = (conversation: string, model: string | null): string =>
  `model:${model ?? DEFAULT_MODEL}:${conversation}`;

/**
 * @param branches the conversation itself, then its other branches
 * @returns null when the request begins a new branch
 */
export function chooseBranch(branches: readonly Branch[], request: ModelRequest): Branch | null {
  const [main] = branches;
  if (!main) return null;
  const last = request.input.exchanges.at(-1);
  const ofModel = branches.filter(({ model }) => model === request.model);
  const [first] = ofModel;
  if (first) return ofModel.length > 1 && last ? (ofModel.find((branch) => endsWith(branch, last)) ?? first) : first;
  if (last) return branches.find((branch) => branch.pendingFingerprints.length === 0 && endsWith(branch, last)) ?? null;
  // Without a history, a repeated message is for another model. A new one comes from a client that sends no history.
  return request.sendsHistory || hasReceived(main, request.input.newFingerprints) ? null : main;
}

/** Whether the branch's last answered exchange is the client's last one. */
function endsWith(branch: Branch, last: ClientExchange): boolean {
  const answered = deliveredExchanges(branch.delivered()).findLast((exchange) => exchange.answered);
  if (!answered) return false;
  return answered.answer === null ? sameTexts(answered.users, last.users) : answered.answer === last.answer;
}

/** Whether the branch has received the same messages of the user, or is about to. */
const hasReceived = ({ pendingFingerprints, delivered }: Branch, users: readonly string[]): boolean =>
  pendingFingerprints.some((pending) => sameTexts(pending, users)) ||
  deliveredExchanges(delivered()).some((exchange) => sameTexts(exchange.users, users));
