/** A permission prompt in the chat: its text, and which messages count as an answer to it. */

import { parseUserMessage } from "../api/openclaw/user-message.ts";
import { startOf, type ToolContent } from "../claude/tool-use.ts";
import { visibleText } from "../core/visible-text.ts";
import type { Input } from "../intake/input.ts";
import type { Verdict } from "../wire/hooks.ts";
import type { PendingPrompt } from "./broker.ts";

export interface ChatPrompt {
  readonly pending: PendingPrompt;
  /** The chat has only one person in it, so a bare "yes" can mean nothing else. */
  readonly isDirect: boolean;
}

/** How much of the content is shown, in characters. Chats on phones take about 4 000 in one message. */
const MAX_CONTENT = 3_000;

/** The prompt as the user reads it. It explains itself, since users have not read about permission prompts. */
export function promptText({ pending: { id, description, content }, isDirect }: ChatPrompt): string {
  const how = `Answer "yes ${id}" to allow it, or "no ${id}" to refuse.`;
  return [
    `May I do this? ${asCode(description)}`,
    ...(content ? contentLines(id, content) : []),
    `${how}${isDirect ? ' (Just "yes" or "no" will do.)' : ""}`,
  ].join("\n");
}

/** The content verbatim, and where to read the rest when it is long. */
function contentLines(id: string, { text, bytes, sha256 }: ToolContent): string[] {
  if (text === "") return ["(It is empty.)"];
  const start = startOf(text, MAX_CONTENT, visibleText);
  const block = asBlock(visibleText(start));
  if (start.length === text.length) return [block];
  const all = `\`synthesis permissions show ${id}\` shows it all.`;
  return [block, `This is not all of it: it has ${bytes} bytes, SHA-256 ${sha256}…. ${all}`];
}

/** A line as Markdown code, because chats drop asterisks and hide comments and links in plain Markdown. */
function asCode(line: string): string {
  const longest = longestRunOfBackticks(line);
  const fence = "`".repeat(longest + 1);
  return longest > 0 ? `${fence} ${line} ${fence}` : fence + line + fence;
}

/** Lines as a Markdown code block. Its fence is longer than every run of backticks in them, so that none ends it. */
function asBlock(lines: string): string {
  const fence = "`".repeat(Math.max(3, longestRunOfBackticks(lines) + 1));
  return `${fence}\n${lines}\n${fence}`;
}

const longestRunOfBackticks = (text: string): number =>
  Math.max(0, ...(text.match(/`+/g) ?? []).map(({ length }) => length));

/** Longer messages are not answers. In characters. */
const MAX_ANSWER = 100;
const ANSWER = /^["'“‘*_`]*(yes|no)\b[\s,:]*([a-z]\d[a-z]\d)?\b[\s,]*(?:please|thanks|thank you)?["'”’*_`.!\s]*$/i;

/**
 * Reads the verdict from a client's new messages. A verdict counts only when the sender is the one whose message Claude
 * works on, and when it names the prompt's id or the chat has only one person in it.
 * @returns null when the messages hold no verdict that counts
 */
export function readVerdict(
  { messages }: Input,
  sender: string | null,
  { pending, isDirect }: ChatPrompt,
): Verdict["behavior"] | null {
  if (sender === null || sender !== pending.sender) return null;
  const parsed = messages.map((message) =>
    message.role === "user" && message.kind === "own" && message.images.length + message.files.length === 0
      ? parseUserMessage(message.text)
      : null,
  );
  // OpenClaw's header names the sender who began the run. Another person's message may have joined the request.
  const isFromSender = parsed.every((part) => part !== null && (part.sender === null || part.sender === sender));
  if (!isFromSender) return null;
  const text = parsed.map((part) => part?.text).join(" ");
  const [, word, id] = (text.length <= MAX_ANSWER && ANSWER.exec(text)) || [];
  if (!word || (id ? id.toLowerCase() !== pending.id : !isDirect)) return null;
  return word.toLowerCase() === "yes" ? "allow" : "deny";
}
