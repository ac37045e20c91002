/** The text of a message as Claude reads it: a context block with what Claude should know, then the user's text. */

import { quoteMarkup, quoteTags } from "../core/quoting.ts";
import { type ImpliedRequest, impliedText } from "../intake/implied-request.ts";
import type { DeliveryPlan, Past } from "./delivery-plan.ts";
import { historyText } from "./history-text.ts";
import { inputText } from "./input-text.ts";

/** How long a history may be in the message, in characters. A frame to the plugin holds one megabyte. */
const MAX_HISTORY = 100_000;
const ONLY_CONTEXT = "(I have said nothing new; see the context.)";
/** Claude has the user's message already, and a message must not be empty. */
const STILL_WAITING = "(My last message is still without an answer. Please answer it now.)";
/** `core/quoting.ts` quotes lines of clients that begin like this one, or like those of `pastText`. */
const ANSWER_TRUNCATED =
  "Your last answer broke off on its way: the person may have received only a part of it, or nothing.";
const ONLY_IMAGES = "(See the image.)";
const ONLY_FILES = "(See the file.)";

/**
 * @param implied the client's request when no user message states it
 * @param note the client's instructions beyond the user's message; null for none
 */
export function messageText(plan: DeliveryPlan, implied: ImpliedRequest | null, note: string | null): string {
  const parts = [
    changesText(plan),
    plan.volatile && quoteMarkup(plan.volatile.text),
    ...plan.context.map(quoteMarkup),
    note,
  ].filter((part) => part !== null);
  const text =
    implied === null ? newText(plan) : [userText(plan), impliedText(implied, true)].filter(Boolean).join("\n\n");
  return parts.length === 0 ? text : `${contextBlock(parts.join("\n\n"))}\n\n${text}`;
}

/** What Claude should know of the messages before; null for nothing. */
export function changesText({ past, isLastAnswerTruncated }: Pick<DeliveryPlan, "past" | "isLastAnswerTruncated">) {
  const parts = [past && pastText(past), isLastAnswerTruncated ? ANSWER_TRUNCATED : null];
  const said = parts.filter((part) => part !== null);
  return said.length === 0 ? null : said.join("\n\n");
}

/** The text of a message that has only a note for Claude. */
export const noteText = (note: string): string => `${contextBlock(note)}\n\n${ONLY_CONTEXT}`;

/** A block with what Claude should know. Tags in the text are quoted, so that none can end the block. */
export const contextBlock = (text: string): string => `<context>\n${quoteTags(text)}\n</context>`;

function newText(plan: DeliveryPlan): string {
  if (plan.messages.length === 0) return plan.isUnansweredRepeat ? STILL_WAITING : ONLY_CONTEXT;
  return userText(plan);
}

/** Empty when no message is new. */
function userText({ messages }: DeliveryPlan): string {
  const withoutText = messages.some(({ files }) => files.length > 0) ? ONLY_FILES : ONLY_IMAGES;
  return messages.length === 0 ? "" : inputText(messages) || withoutText;
}

function pastText(past: Past): string {
  switch (past.why) {
    case "new":
      return `What was said in this chat before you came:\n\n${historyText(past.history, MAX_HISTORY)}`;
    case "changed":
      return `${changeText(past.since)}\n\n${historyText(past.history, MAX_HISTORY)}`;
    case "removed":
      return removedText(past.count);
  }
}

const removedText = (count: number): string =>
  count === 1
    ? "The person has taken back their last message; it and your answer to it no longer count."
    : `The person has taken back their last ${count} messages; they and your answers to them no longer count.`;

/** How much of the message before a change is quoted, in characters. */
const MAX_QUOTE = 80;

function changeText(since: (Past & { why: "changed" })["since"]): string {
  const changed = "This chat has been edited, or went on without you.";
  if (since === "unknown") return `${changed} From there on it reads:`;
  if (since === "start") return `${changed} What you know of it no longer counts; it reads:`;
  if ("why" in since) return `${removedText(since.count)} From there on this chat reads:`;
  // A quotation mark in the message would look like the end of the quotation.
  const line = since.answerTo.replace(/\s+/g, " ").replaceAll('"', "'");
  const quoted = line.length > MAX_QUOTE ? `${line.slice(0, MAX_QUOTE)}…` : line;
  return `${changed} What came after the answer to "${quoted}" no longer counts; from there on it reads:`;
}
