/** What OpenClaw adds to a request of OpenAI's API: in its headers, its system prompt and its Runtime line. */
import { type ChatMessage, type ChatRequest, messageText } from "../openai-chat/request.ts";
import { contextIn } from "./context-message.ts";
import { openClawHeader } from "./headers.ts";
import { type Runtime, splitRuntimeLine } from "./runtime-line.ts";
import { findSideRequest, type SideRequest } from "./side-request.ts";
import { isAttempt, workingDirectory } from "./system-prompt.ts";
import { splitTimestamp } from "./timestamp.ts";

export const SESSION_KEY_HEADER = "x-openclaw-session-key";

export interface OpenClawRequest {
  /** The system prompt is OpenClaw's, so OpenClaw itself sent the request, and not another client with its headers. */
  readonly isAttempt: boolean;
  /** OpenClaw checks on its agent periodically. Such a check is a turn of the conversation, with another system prompt. */
  readonly isHeartbeat: boolean;
  /** Null for a request that is part of a conversation. */
  readonly side: SideRequest | null;
  readonly runtime: Runtime | null;
  /** The first user message without its Runtime line; null when it has none. */
  readonly firstUserMessage: ChatMessage | null;
  /** The folder that the system prompt names; null when it names none. */
  readonly workingDirectory: string | null;
}

/**
 * Reads what only OpenClaw sends.
 * @param system the text of the system and developer messages
 * @returns null for another client's request. The user agent cannot tell them apart: both use OpenAI's library.
 */
export function readOpenClaw(request: ChatRequest, headers: Headers, system: string): OpenClawRequest | null {
  const attempt = isAttempt(system);
  const first = request.messages.find(({ role }) => role === "user");
  const split = attempt && first ? splitRuntimeLine(first) : null;
  const lastText = lastUserText(request);
  const side = findSideRequest({
    system,
    lastText,
    sessions: [split?.runtime.session, openClawHeader(headers, SESSION_KEY_HEADER)],
    kind: headers.get("x-openclaw-kind"),
    hasTools: Array.isArray(request.tools) && request.tools.length > 0,
  });
  const hasHeader = [...headers.keys()].some((name) => name.startsWith("x-openclaw-"));
  if (!attempt && !hasHeader && !side) return null;
  return {
    isAttempt: attempt,
    isHeartbeat: attempt && lastText.startsWith("Follow the heartbeat monitor scratch context"),
    side,
    runtime: split?.runtime ?? null,
    firstUserMessage: split?.message ?? null,
    workingDirectory: workingDirectory(system),
  };
}

/** The text of the last user message, without its timestamp. Context messages do not count. */
function lastUserText({ messages }: ChatRequest): string {
  const last = messages.findLast((message) => message.role === "user" && contextIn(message) === null);
  return last ? splitTimestamp(messageText(last))[1] : "";
}
