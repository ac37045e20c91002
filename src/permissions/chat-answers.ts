/** A permission that is asked for in the chat: the question, and what counts as an answer. */

import { parseUserMessage } from "../api/openclaw/user-message.ts";
import { startOf, type ToolContent } from "../claude/tool-use.ts";
import { visibleText } from "../core/visible-text.ts";
import type { Input } from "../intake/input.ts";
import type { Verdict } from "../wire/hooks.ts";
import type { PendingPrompt } from "./broker.ts";

export interface ChatPrompt {
  readonly pending: PendingPrompt;
  /** Nobody else reads along: a bare yes can mean nothing else. */
  readonly isDirect: boolean;
}

/** In characters. A chat on a phone takes about 4 000 in one message. */
const MOST_CONTENT = 3_000;

/** For somebody who has read nothing about it. */
export function promptText({ pending: { id, description, content }, isDirect }: ChatPrompt): string {
  const how = `Answer "yes ${id}" to allow it, or "no ${id}" to refuse.`;
  return [
    `May I do this? ${asCode(description)}`,
    ...(content ? contentLines(id, content) : []),
    `${how}${isDirect ? ' (Just "yes" or "no" will do.)' : ""}`,
  ].join("\n");
}

/** The content letter for letter, and where the rest of it is shown. */
function contentLines(id: string, { text, bytes, sha256 }: ToolContent): string[] {
  if (text === "") return ["(It is empty.)"];
  const start = startOf(text, MOST_CONTENT, visibleText);
  const block = asBlock(visibleText(start));
  if (start.length === text.length) return [block];
  const all = `\`synthesis permissions show ${id}\` shows it all.`;
  return [block, `This is not all of it: it has ${bytes} bytes, SHA-256 ${sha256}…. ${all}`];
}

/** One line of Markdown that is shown letter for letter: chats drop asterisks, and hide comments and links. */
function asCode(line: string): string {
  const longest = longestRunOfBackticks(line);
  const fence = "`".repeat(longest + 1);
  return longest > 0 ? `${fence} ${line} ${fence}` : fence + line + fence;
}

/** Lines of Markdown that are shown letter for letter. No run of backticks in them is long enough to end the block. */
function asBlock(lines: string): string {
  const fence = "`".repeat(Math.max(3, longestRunOfBackticks(lines) + 1));
  return `${fence}\n${lines}\n${fence}`;
}

const longestRunOfBackticks = (text: string): number =>
  Math.max(0, ...(text.match(/`+/g) ?? []).map(({ length }) => length));

/** No answer has more characters. */
const LONGEST = 100;
const ANSWER = /^["'“‘*_`]*(yes|no)\b[\s,:]*([a-z]\d[a-z]\d)?\b[\s,]*(?:please|thanks|thank you)?["'”’*_`.!\s]*$/i;

/**
 * The verdict in a message, null when it holds none that counts: it must come from the sender whose message
 * claude works on, and name the question, unless nobody else is in the chat.
 */
export function readVerdict(
  { messages }: Input,
  sender: string | null,
  { pending, isDirect }: ChatPrompt,
): Verdict["behavior"] | null {
  if (sender === null || sender !== pending.sender) return null;
  const said = messages.map((message) =>
    message.role === "user" && message.kind === "own" && message.images.length + message.files.length === 0
      ? parseUserMessage(message.text)
      : null,
  );
  // The header names who has begun the run; somebody else's message may have joined it.
  const isTheirs = said.every((words) => words !== null && (words.sender === null || words.sender === sender));
  if (!isTheirs) return null;
  const text = said.map((words) => words?.text).join(" ");
  const [, word, id] = (text.length <= LONGEST && ANSWER.exec(text)) || [];
  if (!word || (id ? id.toLowerCase() !== pending.id : !isDirect)) return null;
  return word.toLowerCase() === "yes" ? "allow" : "deny";
}
