/** Requests as OpenClaw 2026.9.6 sends them. Their structure is original, the prose is ours. */
import { type ChatMessage, type ChatRequest, chatRequest } from "../../src/api/openai-chat/request.ts";

export interface OpenClawOptions {
  readonly agent?: string;
  readonly session?: string;
  readonly sessionId?: string;
  readonly channel?: string;
  readonly workspace?: string;
  /** The N of `<sessionId>:<N>`. With it the request has affinity headers and a cache key. */
  readonly generation?: number;
  /** Headers that a plugin of OpenClaw adds. */
  readonly headers?: Record<string, string>;
  /** The content of AGENTS.md, which is in the stable section of the system prompt. */
  readonly agentsFile?: string;
  readonly date?: string;
  readonly tools?: readonly string[];
  /** Where the runtime line is in the first user message. */
  readonly runtimeLine?: "text" | "part" | "none";
}

export interface Sent {
  readonly request: ChatRequest;
  readonly headers: Headers;
}

export const withTimestamp = (text: string, minute = 0): string =>
  `[Sun 2026-11-22 08:${String(minute).padStart(2, "0")} UTC] ${text}`;
export const user = (content: ChatMessage["content"]): ChatMessage => ({ role: "user", content });
export const assistant = (content: string, ...calls: (readonly [id: string, name: string])[]): ChatMessage => ({
  role: "assistant",
  content,
  ...(calls.length > 0 && {
    tool_calls: calls.map(([id, name]) => ({ id, type: "function", function: { name, arguments: "{}" } })),
  }),
});
export const toolResult = (callId: string, content: string): ChatMessage => ({
  role: "tool",
  tool_call_id: callId,
  content,
});
/** OpenClaw's context message: information for the model in a separate user message. */
export const contextMessage = (text = "Subagents: none"): ChatMessage =>
  user([{ type: "text", text: `<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>\n${text}\n<<<END_OPENCLAW_INTERNAL_CONTEXT>>>` }]);
export const ABORTED =
  "<turn_aborted>\nThe previous turn was interrupted. Tools may have run in part.\n</turn_aborted>";
export const CONTINUE = "Continue the current task from the existing transcript, and do nothing twice.";
export const QUEUED =
  "[Queued user message from a previous active turn; preserved as context only. Continue with the active prompt below.]";

/** A request of OpenClaw's embedded agent. */
export function agentRequest(messages: readonly ChatMessage[], options: OpenClawOptions = {}): Sent {
  const { generation, sessionId = SESSION_ID, tools = ["read", "exec"], runtimeLine = "text" } = options;
  const affinity = `${sessionId}:${generation}`;
  const first = messages.findIndex(({ role }) => role === "user");
  const withLine = messages.map((message, index) =>
    index === first && runtimeLine !== "none" ? addLine(message, runtimeLineOf(options), runtimeLine) : message,
  );
  return {
    request: chatRequest.parse({
      model: "synthesis-claude-bridge",
      messages: [{ role: "system", content: systemPrompt(options) }, ...withLine],
      stream: true,
      stream_options: { include_usage: true },
      tools: tools.map((name) => ({ type: "function", function: { name, parameters: { type: "object" } } })),
      tool_choice: "auto",
      max_completion_tokens: 8192,
      ...(generation !== undefined && { prompt_cache_key: affinity }),
    }),
    headers: new Headers({
      "user-agent": "OpenAI/JS 7.15.0",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      ...(generation !== undefined && {
        session_id: affinity,
        "x-client-request-id": affinity,
        "x-session-affinity": affinity,
      }),
      ...options.headers,
    }),
  };
}

/** A side request of OpenClaw, which has no tools. */
export function utilityRequest(system: string, words: string, headers: Record<string, string> = {}): Sent {
  const messages = [{ role: "system", content: system }, user(words)];
  return {
    request: chatRequest.parse({ model: "m", messages, stream: true, max_completion_tokens: 4096 }),
    headers: new Headers({ "user-agent": "OpenAI/JS 7.15.0", ...headers }),
  };
}

export const SESSION_ID = "7a3f2d54-61c5-4b0e-9f0a-3f4f6d5b8c11";

export function systemPrompt({
  workspace = "/home/me/work",
  agentsFile = "Be kind.",
  date = "2026-11-22",
}: OpenClawOptions = {}): string {
  return [
    "<!-- openclaw:attempt:STABLE -->",
    "You are a helper inside OpenClaw.",
    "## Tooling",
    "- read: Read files",
    "## Workspace",
    `Working directory: ${workspace}`,
    "Treat it as the only one.",
    `## ${workspace}/AGENTS.md`,
    agentsFile,
    "<!-- /openclaw:attempt:STABLE -->",
    "<!-- openclaw:attempt:DYNAMIC -->",
    "## Temporal Context",
    `Current date: ${date}`,
    "<!-- /openclaw:attempt:DYNAMIC -->",
  ].join("\n");
}

export function runtimeLineOf({
  agent = "main",
  session = "agent:main:main",
  sessionId = SESSION_ID,
  workspace = "/home/me/work",
  channel,
}: OpenClawOptions = {}): string {
  const fields = [
    `agent=${agent}`,
    `session=${session}`,
    `sessionId=${sessionId}`,
    "host=box",
    `repo=${workspace}`,
    "os=Linux 6.18 (x64)",
    "node=v26.10.0",
    "model=synthesis/synthesis-claude-bridge",
    "shell=bash",
    ...(channel ? [`channel=${channel}`, "capabilities=none"] : []),
  ];
  return `Runtime: ${fields.join(" | ")}`;
}

function addLine(message: ChatMessage, line: string, where: "text" | "part"): ChatMessage {
  const { content } = message;
  if (where === "text" && typeof content === "string") return { ...message, content: `${content}\n\n${line}` };
  const parts = typeof content === "string" ? [{ type: "text", text: content }] : (content ?? []);
  return { ...message, content: [...parts, { type: "text", text: line }] };
}
