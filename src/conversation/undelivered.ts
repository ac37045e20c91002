/** A turn that brought no answer is sent again, often in other words: what of it Claude has not received. */
import { quotations } from "../openclaw/retry.ts";
import { fingerprint } from "./fingerprint.ts";
import type { NewMessage } from "./input.ts";

/**
 * The new messages without the text that Claude has received already. When nothing else is left, OpenClaw's own request
 * to go on is; it is left out otherwise.
 * @param isDelivered whether a user's message with this fingerprint was sent to Claude in a turn without an answer
 * @returns empty when Claude has received it all
 */
export function undelivered(
  messages: readonly NewMessage[],
  isDelivered: (print: string) => boolean,
): readonly NewMessage[] {
  const rest = messages.flatMap((message): NewMessage[] => {
    if (message.role === "tool") return [message];
    if (message.kind === "continue" || isDelivered(message.print)) return [];
    if (message.kind === "own") return [message];
    const text = undeliveredText(message.text, isDelivered);
    return text === "" ? [] : [{ ...message, text, print: fingerprint(text, message.images) }];
  });
  return rest.length > 0 ? rest : messages.filter((message) => message.role === "user" && message.kind === "continue");
}

function undeliveredText(text: string, isDelivered: (print: string) => boolean): string {
  if (isDelivered(fingerprint(text))) return "";
  const split = quotations(text).find(({ earlier }) => isDelivered(fingerprint(earlier)));
  return split ? undeliveredText(split.now, isDelivered) : text;
}
