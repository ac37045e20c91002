/** A permission that is asked for in the chat: the question, and what counts as an answer. */
import { splitStamp } from "../openclaw/stamp.ts";
import type { Verdict } from "../wire/hooks.ts";
import type { Input } from "./input.ts";
import type { Pending } from "./permissions.ts";

export interface ChatQuestion {
  readonly pending: Pending;
  /** Nobody else reads along: a bare yes can mean nothing else. */
  readonly isDirect: boolean;
}

/** For somebody who has read nothing about it. */
export function questionText({ pending: { id, description }, isDirect }: ChatQuestion): string {
  const how = `Answer "yes ${id}" to allow it, or "no ${id}" to refuse.`;
  return `May I do this? ${description}\n${how}${isDirect ? ' (Just "yes" or "no" will do.)' : ""}`;
}

const ANSWER = /^["'“]?(yes|no)\b[\s,:]*([a-z]\d[a-z]\d)?["'”]?[.!\s]*$/i;

/**
 * The verdict in a message, null when it holds none that counts: it must come from the sender whose message
 * claude works on, and name the question, unless nobody else is in the chat.
 */
export function readVerdict(
  input: Input,
  sender: string | null,
  { pending, isDirect }: ChatQuestion,
): Verdict["behavior"] | null {
  if (sender === null || sender !== pending.sender) return null;
  if (!input.messages.every((message) => message.role === "user" && message.kind === "own")) return null;
  const said = input.messages.map(({ text }) => splitStamp(text)[1].trim()).join(" ");
  const [, word, id] = ANSWER.exec(said) ?? [];
  if (!word || (id ? id.toLowerCase() !== pending.id : !isDirect)) return null;
  return word.toLowerCase() === "yes" ? "allow" : "deny";
}
