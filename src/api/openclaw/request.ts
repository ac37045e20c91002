/** What a request says beyond OpenAI's dialect when OpenClaw sends it. */
import { type ChatRequest, messageText, systemText } from "../openai-chat/request.ts";
import { carriedContext } from "./context-message.ts";
import { openClawHeader } from "./headers.ts";
import { type Runtime, splitRuntimeLine } from "./runtime-line.ts";
import { type SideRequest, sideRequest } from "./side-request.ts";
import { isAttempt, type SystemPrompt, splitSystemPrompt, workingDirectory } from "./system-prompt.ts";
import { splitTimestamp } from "./timestamp.ts";

export const SESSION_KEY_HEADER = "x-openclaw-session-key";

export interface OpenClawRequest {
  /** OpenClaw itself wrote it, as its system prompt shows, and not another client with OpenClaw's headers. */
  readonly isAttempt: boolean;
  /** OpenClaw looks after its agent by the clock: a turn of the conversation, with a system prompt of its own. */
  readonly isHeartbeat: boolean;
  /** Null for what belongs to a conversation. */
  readonly side: SideRequest | null;
  readonly runtime: Runtime | null;
  readonly system: SystemPrompt;
  /** The folder its system prompt names. */
  readonly workingDirectory: string | null;
}

/**
 * Reads what only OpenClaw sends.
 * @returns null when the request is another client's. The user agent says nothing: it is that of OpenAI's library.
 */
export function readOpenClaw(request: ChatRequest, headers: Headers): OpenClawRequest | null {
  const system = systemText(request);
  const attempt = isAttempt(system);
  const first = request.messages.find(({ role }) => role === "user");
  const runtime = (attempt && first && splitRuntimeLine(first)?.runtime) || null;
  const words = lastWords(request);
  const side = sideRequest({
    system,
    words,
    sessions: [runtime?.session, openClawHeader(headers, SESSION_KEY_HEADER)],
    kind: headers.get("x-openclaw-kind"),
    hasTools: Array.isArray(request.tools) && request.tools.length > 0,
  });
  const named = [...headers.keys()].some((name) => name.startsWith("x-openclaw-"));
  if (!attempt && !named && !side) return null;
  return {
    isAttempt: attempt,
    isHeartbeat: attempt && words.startsWith("Follow the heartbeat monitor scratch context"),
    side,
    runtime,
    system: splitSystemPrompt(system),
    workingDirectory: workingDirectory(system),
  };
}

function lastWords({ messages }: ChatRequest): string {
  const last = messages.findLast((message) => message.role === "user" && carriedContext(message) === null);
  return last ? splitTimestamp(messageText(last))[1] : "";
}
