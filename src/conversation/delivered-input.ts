/**
 * A request to continue an answer repeats the user's message that the answer belongs to. When Claude has received that
 * message already, it counts as history, and only the request to continue is new.
 */
import { ClientExchange } from "../intake/exchange.ts";
import type { Input, PastMessage } from "../intake/input.ts";
import type { DeliveredExchange } from "./delivered-exchange.ts";
import { sameTexts } from "./history-match.ts";
import { inputText } from "./input-text.ts";

/**
 * Moves the messages before a begun answer into the history, if they are the last that Claude received. The exchange
 * before them must match as well, because a user may send the same message twice.
 * @param delivered the conversation as Claude knows it
 */
export function withDeliveredAsHistory(delivered: readonly DeliveredExchange[], input: Input): Input {
  const { implied, messages, history, exchanges, historyFingerprints, newFingerprints } = input;
  if (implied?.kind !== "continue" || messages.length === 0) return input;
  const last = delivered.at(-1);
  const previous = exchanges.at(-1);
  const isLast = last !== undefined && sameTexts(last.users, newFingerprints);
  if (!isLast || (previous && !sameTexts(delivered.at(-2)?.users ?? [], previous.users))) return input;
  const past = messages.map(
    (message): PastMessage => ({
      role: message.role,
      name: message.role === "user" ? message.speaker : message.name,
      text: message.role === "user" ? message.text : inputText([message]),
      fingerprints: message.role === "user" ? [message.fingerprint] : [],
    }),
  );
  const exchange = new ClientExchange(history.length);
  for (const message of messages) {
    if (message.role === "user") exchange.addUser(message.fingerprint, message.text);
  }
  // The client has only the beginning of the answer, which may differ from Claude's.
  exchange.isOpen = true;
  return {
    ...input,
    messages: [],
    history: [...history, ...past],
    hasHistory: true,
    exchanges: [...exchanges, exchange],
    historyFingerprints: [...historyFingerprints, ...newFingerprints],
    newFingerprints: [],
  };
}
