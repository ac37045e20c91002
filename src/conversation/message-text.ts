/** The message as claude reads it: what it should know first, in one block, then the user's words. */

import { type ImpliedRequest, impliedText } from "../api/openai-chat/implied-request.ts";
import { quoteMarkup, quoteTags } from "../core/quoting.ts";
import type { DeliveryPlan, Past } from "./delivery-plan.ts";
import { historyText } from "./history-text.ts";
import { inputText } from "./input-text.ts";

/** A history is told in so many characters at most. A frame on the bridge holds a megabyte. */
const MAX_HISTORY = 100_000;
const ONLY_CONTEXT = "(I have said nothing new; see the context.)";
/** The user's words are with claude already; a message must not be empty. */
const STILL_WAITING = "(My last message is still without an answer. Please answer it now.)";
const BROKE_OFF = "Your last answer broke off on its way: the person may have received only a part of it, or nothing.";
const ONLY_IMAGES = "(See the image.)";
const ONLY_FILES = "(See the file.)";

/**
 * @param implied what is asked for where no user message says it
 * @param note what the client asks of claude beyond its user's words; null for nothing
 * @returns what goes into the channel
 */
export function messageText(plan: DeliveryPlan, implied: ImpliedRequest | null, note: string | null): string {
  const context = [
    plan.past && pastText(plan.past),
    plan.isLastAnswerTruncated ? BROKE_OFF : null,
    plan.volatile && quoteMarkup(plan.volatile.text),
    ...plan.carried.map(quoteMarkup),
    note,
  ].filter((part) => part !== null);
  const text =
    implied === null ? newText(plan) : [newWords(plan), impliedText(implied, true)].filter(Boolean).join("\n\n");
  return context.length === 0 ? text : `${contextBlock(context.join("\n\n"))}\n\n${text}`;
}

/** What Claude should know beside the person's words. Nothing in it can end the block. */
export const contextBlock = (text: string): string => `<context>\n${quoteTags(text)}\n</context>`;

function newText(plan: DeliveryPlan): string {
  if (plan.messages.length === 0) return plan.isAskedAgain ? STILL_WAITING : ONLY_CONTEXT;
  return newWords(plan);
}

/** Empty when nothing is new. */
function newWords({ messages }: DeliveryPlan): string {
  const without = messages.some(({ files }) => files.length > 0) ? ONLY_FILES : ONLY_IMAGES;
  return messages.length === 0 ? "" : inputText(messages) || without;
}

function pastText(past: Past): string {
  switch (past.why) {
    case "new":
      return `What was said in this chat before you came:\n\n${historyText(past.history, MAX_HISTORY)}`;
    case "changed":
      return `${changeText(past.since)}\n\n${historyText(past.history, MAX_HISTORY)}`;
    case "taken back":
      return past.count === 1
        ? "The person has taken back their last message; it and your answer to it no longer count."
        : `The person has taken back their last ${past.count} messages; they and your answers to them no longer count.`;
  }
}

/** How the message is quoted behind which a change begins, in characters. */
const QUOTED = 80;

function changeText(since: (Past & { why: "changed" })["since"]): string {
  const changed = "This chat has been edited, or went on without you.";
  if (since === "somewhere") return `${changed} From there on it reads:`;
  if (since === "start") return `${changed} What you know of it no longer counts; it reads:`;
  // A quotation mark of the message's own would seem to end it.
  const line = since.answerTo.replace(/\s+/g, " ").replaceAll('"', "'");
  const quoted = line.length > QUOTED ? `${line.slice(0, QUOTED)}…` : line;
  return `${changed} What came after the answer to "${quoted}" no longer counts; from there on it reads:`;
}
