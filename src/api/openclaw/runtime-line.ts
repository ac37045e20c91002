/**
 * The Runtime line, in which OpenClaw says for whom it speaks. It ends the first user message: behind a
 * blank line, or as a text part of its own.
 */
import type { ChatMessage } from "../openai-chat/request.ts";

export interface Runtime {
  readonly agent: string | null;
  /** OpenClaw's session key. */
  readonly session: string | null;
  readonly sessionId: string | null;
  /** The folder of the agent's repository. */
  readonly repo: string | null;
  readonly model: string | null;
  /** Where the conversation takes place, `telegram` for one. */
  readonly channel: string | null;
}

/** At the very end only: a user's own words may well contain a line like it. */
const LINE = /(?:^|\n\n)Runtime: ((?:name|agent|session|host|os|model)=[^\n]*)$/;

/**
 * Takes the Runtime line off the first user message of a request whose system prompt is OpenClaw's.
 * @returns the message without it, and what the line says; null when there is none
 */
export function splitRuntimeLine(message: ChatMessage): { message: ChatMessage; runtime: Runtime } | null {
  const { content } = message;
  if (typeof content === "string") {
    const line = LINE.exec(content);
    return (
      line && { message: { ...message, content: content.slice(0, line.index) }, runtime: readFields(line[1] ?? "") }
    );
  }
  const last = content?.at(-1);
  const line = last?.type === "text" ? LINE.exec(last.text ?? "") : null;
  if (!content || !last || !line) return null;
  const parts = content.slice(0, -1);
  if (line.index > 0) parts.push({ ...last, text: last.text?.slice(0, line.index) ?? "" });
  return { message: { ...message, content: parts }, runtime: readFields(line[1] ?? "") };
}

function readFields(line: string): Runtime {
  // A session key may hold a name that somebody chose, and that name anything. What stands before the
  // key and behind the session's id is OpenClaw's own, so the key ends at the last place where it can.
  const start = /(?:^| \| )session=/.exec(line);
  const rest = start ? line.slice(start.index + start[0].length) : "";
  const end = [" | sessionId=", " | host="].map((key) => rest.lastIndexOf(key)).find((at) => at >= 0) ?? rest.length;
  const others = ` | ${start ? line.slice(0, start.index) + rest.slice(end) : line}`;
  const field = (name: string) => new RegExp(` \\| ${name}=(.*?)(?: \\| |$)`).exec(others)?.[1] || null;
  return {
    agent: field("agent"),
    session: rest.slice(0, end) || null,
    sessionId: field("sessionId"),
    repo: field("repo"),
    model: field("model"),
    channel: field("channel"),
  };
}
