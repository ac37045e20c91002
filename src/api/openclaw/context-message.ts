/**
 * The carrier: a user message in which no user says anything. OpenClaw puts one behind the user's, with
 * what the model should know at this moment (running subagents, events of the system).
 */
import { type ChatMessage, messageText } from "../openai-chat/request.ts";

const BEGIN = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>";
const END = "<<<END_OPENCLAW_INTERNAL_CONTEXT>>>";

/**
 * What a carrier carries, null for any other message. The whole of it must lie between one pair of
 * markers: somebody who quotes them among words of their own is a user who speaks. (OpenClaw escapes
 * the markers in what users and tools say.)
 */
export function carriedContext(message: ChatMessage): string | null {
  if (message.role !== "user") return null;
  if (Array.isArray(message.content) && message.content.some(({ type }) => type !== "text")) return null;
  const text = messageText(message).trim();
  if (!text.startsWith(`${BEGIN}\n`) || !text.endsWith(`\n${END}`)) return null;
  const inner = text.slice(BEGIN.length, -END.length);
  return inner.includes(BEGIN) || inner.includes(END) ? null : inner.trim();
}
