/**
 * The Runtime line, in which OpenClaw names the agent and the session of a request. It is the end of the first user
 * message: behind a blank line, or in a text part of its own.
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
  /** The messaging channel of the conversation, for example `telegram`. */
  readonly channel: string | null;
}

/** Only at the very end of the text: a person's message may contain such a line anywhere. */
const LINE = /(?:^|\n\n)Runtime: ((?:name|agent|session|host|os|model)=[^\n]*)$/;

/**
 * Splits the Runtime line from the first user message of a request whose system prompt is OpenClaw's.
 * @returns null when the message has no Runtime line
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
  // A session key may contain a name that a person chose, which may look like other fields. Only OpenClaw writes the
  // fields before the key and behind the session's id, so the key ends at the last position where it can end.
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
