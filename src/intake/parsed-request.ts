/**
 * A chat request, parsed once. Identity, tools, workspace and input are all read from this value: the system prompt, the
 * Runtime line and the parts of the messages are split here and nowhere else.
 */
import { type MessagePart, readParts } from "../api/openai-chat/content-parts.ts";
import { functionsAsTools, usesFunctions } from "../api/openai-chat/legacy-functions.ts";
import { type ChatMessage, type ChatRequest, systemText } from "../api/openai-chat/request.ts";
import { withToolImages } from "../api/openai-chat/tool-images.ts";
import { contextIn } from "../api/openclaw/context-message.ts";
import { type OpenClawRequest, readOpenClaw } from "../api/openclaw/request.ts";
import { type SystemPrompt, splitSystemPrompt } from "../api/openclaw/system-prompt.ts";
import { splitPrefill } from "./implied-request.ts";

/** A message that is neither a system nor a developer message. */
export interface ParsedMessage {
  readonly role: "user" | "assistant" | "tool";
  /** The message without OpenClaw's Runtime line. A tool's result has the images that its tool returned. */
  readonly message: ChatMessage;
  /** The message's index in the request. */
  readonly index: number;
  readonly parts: readonly MessagePart[];
  /** The tool that a result comes from; null when the request does not say, and for all other messages. */
  readonly toolName: string | null;
  /** The content of an OpenClaw context message; null for every other message. */
  readonly context: string | null;
}

export interface ParsedRequest {
  /** The request's body, with functions of the API before `tools` as tools. */
  readonly body: ChatRequest;
  /** The request is of the API before `tools`, and so must be the answer. */
  readonly usesFunctions: boolean;
  readonly headers: Headers;
  /** What only OpenClaw sends; null for every other client. */
  readonly openclaw: OpenClawRequest | null;
  /** The text of all system and developer messages. */
  readonly system: string;
  readonly systemPrompt: SystemPrompt;
  readonly messages: readonly ParsedMessage[];
  /** The messages before the prefill; all of them when there is none. */
  readonly messagesBeforePrefill: readonly ParsedMessage[];
  /** The beginning of the answer, which the client gives and Claude continues; null when there is none. */
  readonly prefill: string | null;
}

export function parseRequest(sent: ChatRequest, headers: Headers): ParsedRequest {
  const body = functionsAsTools(sent);
  const system = systemText(body);
  const openclaw = readOpenClaw(body, headers, system);
  const messages = parseMessages(body, openclaw);
  const { before: messagesBeforePrefill, prefill } = splitPrefill(messages);
  return {
    body,
    usesFunctions: usesFunctions(sent),
    headers,
    openclaw,
    system,
    systemPrompt: splitSystemPrompt(system),
    messages,
    messagesBeforePrefill,
    prefill,
  };
}

function parseMessages({ messages }: ChatRequest, openclaw: OpenClawRequest | null): readonly ParsedMessage[] {
  const firstUserMessage = messages.find(({ role }) => role === "user");
  return withToolImages(messages).flatMap(({ message: sent, index, toolName }): ParsedMessage[] => {
    if (sent.role === "system" || sent.role === "developer") return [];
    const message = (sent === firstUserMessage && openclaw?.firstUserMessage) || sent;
    const role = sent.role === "function" ? "tool" : sent.role;
    return [{ role, message, index, parts: readParts(message, index), toolName, context: contextIn(message) }];
  });
}
