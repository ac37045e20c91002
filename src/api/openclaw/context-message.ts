/**
 * Context messages: messages with the user role that no person wrote. OpenClaw adds one behind the person's message, with
 * what the model should know at this moment, such as running subagents and system events.
 */
import { type ChatMessage, messageText } from "../openai-chat/request.ts";

const BEGIN = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>";
const END = "<<<END_OPENCLAW_INTERNAL_CONTEXT>>>";

/**
 * The content of a context message; null for any other message. The whole message must stand between one pair of
 * markers: a message that contains them among other text is a person's. OpenClaw escapes the markers in the text of
 * people and tools.
 */
export function contextIn(message: ChatMessage): string | null {
  if (message.role !== "user") return null;
  if (Array.isArray(message.content) && message.content.some(({ type }) => type !== "text")) return null;
  const text = messageText(message).trim();
  if (!text.startsWith(`${BEGIN}\n`) || !text.endsWith(`\n${END}`)) return null;
  const inner = text.slice(BEGIN.length, -END.length);
  return inner.includes(BEGIN) || inner.includes(END) ? null : inner.trim();
}
