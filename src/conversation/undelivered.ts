/**
 * OpenClaw sends a message again after a turn without an answer, often in other words. This finds the part of it that
 * Claude has not received.
 */
import { MAX_COMPARED, quotations } from "../api/openclaw/retry.ts";
import { messageFingerprint, withText } from "../intake/fingerprint.ts";
import type { NewMessage } from "../intake/new-message.ts";

/**
 * The new messages without the text that Claude has received already. OpenClaw's own request to continue stays only when
 * no other message does.
 * @param isDelivered whether a user's message with this fingerprint was sent to Claude in a turn without an answer
 * @returns empty when Claude has received everything
 */
export function undelivered(
  messages: readonly NewMessage[],
  isDelivered: (fingerprint: string) => boolean,
): readonly NewMessage[] {
  // Comparing a text takes time in proportion to its length, so only so many characters are compared.
  let budget = MAX_COMPARED;
  const undeliveredText = (whole: string): string => {
    let text = whole;
    while (text !== "" && !isDelivered(messageFingerprint(text))) {
      const splits = quotations(text, budget);
      budget -= splits.reduce((sum, { earlier }) => sum + earlier.length, text.length);
      const split = splits.find(({ earlier }) => isDelivered(messageFingerprint(earlier)));
      if (!split || budget < 0) return text;
      text = split.now;
    }
    return "";
  };
  const rest = messages.flatMap((message): NewMessage[] => {
    if (message.role === "tool") return [message];
    if (message.kind === "continue" || isDelivered(message.fingerprint)) return [];
    if (message.kind === "own") return [message];
    const text = undeliveredText(message.text);
    return text === "" ? [] : [{ ...message, text, fingerprint: withText(message.fingerprint, text) }];
  });
  return rest.length > 0 ? rest : messages.filter((message) => message.role === "user" && message.kind === "continue");
}
