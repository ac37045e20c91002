/**
 * What a request asks for when no user message says it: its last message is an assistant's, it has only system
 * messages, or its user message is empty.
 */

import { quoteTags } from "../../core/quoting.ts";
import { pastCalls, saidText } from "./past-message.ts";
import type { ChatMessage } from "./request.ts";

export type ImpliedRequest =
  /** The answer shall go on from exactly this text. */
  { readonly kind: "continue"; readonly begun: string } | { readonly kind: "begin" } | { readonly kind: "empty" };

/**
 * What a request asks for without saying it.
 * @param begun the answer that the client has begun for Claude, null when there is none
 * @param last the message before that answer, system messages left out; undefined when there is none
 * @param hasWords the request says what it asks for, in a user message or a tool's result
 */
export function impliedRequest(
  begun: string | null,
  last: ChatMessage | undefined,
  hasWords: boolean,
): ImpliedRequest | null {
  if (begun !== null) return { kind: "continue", begun };
  if (hasWords) return null;
  if (!last) return { kind: "begin" };
  // Its calls have no results: the client has not run them, or has lost the results.
  return last.role === "assistant" ? { kind: "continue", begun: "" } : { kind: "empty" };
}

/**
 * What Claude is asked, in words.
 * @param showsBegun with the text that was begun, where Claude is not shown it elsewhere
 */
export function impliedText(request: ImpliedRequest, showsBegun: boolean): string {
  switch (request.kind) {
    case "begin":
      return "(There is no message yet. Begin the conversation, as your instructions say.)";
    case "empty":
      return "(The message was empty.)";
    case "continue":
      return `${
        showsBegun && request.begun !== ""
          ? `Your answer has been begun already. So far it reads:\n\n<begun>\n${quoteTags(request.begun)}\n</begun>\n\n`
          : "Your last message is not finished. "
      }Continue it from exactly where it stops, in mid-sentence or mid-line if need be: what you write now is joined \
to it with nothing in between. Write only the continuation. Do not repeat any of it, and do not comment on it.`;
  }
}

/**
 * The messages without the answer that a client has begun for Claude, and that answer.
 * Empty answers at the end are left out: some clients send one as the place for what comes.
 * @param messages in any wrapping; without system messages
 * @returns null for an answer that has not been begun. One that ends with calls is finished as it stands
 */
export function splitBegunAnswer<T extends { readonly message: ChatMessage }>(
  messages: readonly T[],
): { readonly rest: readonly T[]; readonly begun: string | null } {
  const end = messages.findLastIndex(({ message }) => !isEmptyAnswer(message)) + 1;
  const rest = messages.slice(0, end);
  const last = rest.at(-1)?.message;
  if (last?.role !== "assistant" || pastCalls(last).length > 0) return { rest, begun: null };
  return { rest: rest.slice(0, -1), begun: saidText(last) };
}

const isEmptyAnswer = (message: ChatMessage): boolean =>
  message.role === "assistant" && pastCalls(message).length === 0 && saidText(message).trim() === "";
