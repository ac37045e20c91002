/**
 * A request to continue an answer repeats the message that the answer is to. Most often Claude has been sent that
 * message already: it is then part of what was said before, and only the request to continue is new.
 */
import { ClientExchange, type DeliveredExchange } from "../intake/exchange.ts";
import { textFingerprint } from "../intake/fingerprint.ts";
import type { Input, PastMessage } from "../intake/input.ts";
import { inputText } from "./input-text.ts";

/**
 * A request's input in which the messages before a begun answer are history, if they are the last that Claude was
 * sent. The exchange before them is compared as well: a person may say the same words twice.
 * @param delivered the conversation as Claude knows it
 */
export function withDeliveredAsHistory(delivered: readonly DeliveredExchange[], input: Input): Input {
  const { implied, messages, history, exchanges, historyFingerprints, newFingerprints } = input;
  if (implied?.kind !== "continue" || messages.length === 0) return input;
  const last = delivered.at(-1);
  const before = exchanges.at(-1);
  const isLast = last !== undefined && isSame(last.users, newFingerprints);
  if (!isLast || (before && !isSame(delivered.at(-2)?.users ?? [], before.users))) return input;
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
  // The client has begun the answer: what Claude has said of it may be more, or something else.
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

const isSame = (some: readonly string[], others: readonly string[]): boolean =>
  some.map(textFingerprint).join() === others.map(textFingerprint).join();
