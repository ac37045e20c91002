/**
 * Requests that no user message states. The last message is an assistant's (a prefill, or an answer to continue), there
 * are only system messages, or the user message is empty.
 */

import { pastCalls, textOf } from "../api/openai-chat/past-message.ts";
import type { ChatMessage } from "../api/openai-chat/request.ts";
import { quoteTags } from "../core/quoting.ts";

export type ImpliedRequest =
  /** Continue the answer from exactly the end of `prefill`. When `prefill` is empty, continue the last message. */
  | { readonly kind: "continue"; readonly prefill: string }
  /** Begin the conversation: there is no message yet. */
  | { readonly kind: "begin" }
  /** Answer an empty message. */
  | { readonly kind: "empty" };

/**
 * The request that is implied; null when a message states one.
 * @param prefill the beginning of the answer that the client gives; null when it gives none
 * @param last the last message before the prefill, system messages left out
 * @param isStated a user message or a tool's result states the request
 */
export function impliedRequest(
  prefill: string | null,
  last: ChatMessage | undefined,
  isStated: boolean,
): ImpliedRequest | null {
  if (prefill !== null) return { kind: "continue", prefill };
  if (isStated) return null;
  if (!last) return { kind: "begin" };
  // An assistant message here ends with tool calls, but their results are missing.
  return last.role === "assistant" ? { kind: "continue", prefill: "" } : { kind: "empty" };
}

/**
 * The implied request as a sentence for Claude.
 * @param showsPrefill whether the sentence contains the prefill, for where Claude does not see it elsewhere
 */
export function impliedText(request: ImpliedRequest, showsPrefill: boolean): string {
  switch (request.kind) {
    case "begin":
      return "(There is no message yet. Begin the conversation, as your instructions say.)";
    case "empty":
      return "(The message was empty.)";
    case "continue":
      return `${
        showsPrefill && request.prefill !== ""
          ? `Your answer has been begun already. So far it reads:\n\n<begun>\n${quoteTags(request.prefill)}\n</begun>\n\n`
          : "Your last message is not finished. "
      }Continue it from exactly where it stops, in mid-sentence or mid-line if need be: what you write now is joined \
to it with nothing in between. Write only the continuation. Do not repeat any of it, and do not comment on it.`;
  }
}

/**
 * Splits the prefill from the messages before it. Empty assistant messages at the end are dropped: some clients send
 * one as a placeholder for the answer.
 * @param messages without system messages
 * @returns a null `prefill` when there is none. An assistant message with tool calls is a complete answer
 */
export function splitPrefill<T extends { readonly message: ChatMessage }>(
  messages: readonly T[],
): { readonly before: readonly T[]; readonly prefill: string | null } {
  const end = messages.findLastIndex(({ message }) => !isPlaceholder(message)) + 1;
  const before = messages.slice(0, end);
  const last = before.at(-1)?.message;
  if (last?.role !== "assistant" || pastCalls(last).length > 0) return { before, prefill: null };
  return { before: before.slice(0, -1), prefill: textOf(last) };
}

const isPlaceholder = (message: ChatMessage): boolean =>
  message.role === "assistant" && pastCalls(message).length === 0 && textOf(message).trim() === "";
