/**
 * Recognises the history of a request that names no conversation. The chain is a hash of everything that went over the
 * wire, request by request and answer by answer. Two histories with the same chain are equal but for what
 * `link`, `normalText`, `normalArguments` and `canonical` name. A similar history has another chain.
 */
import { callsIn } from "../api/openai-chat/past-message.ts";
import type { ChatMessage } from "../api/openai-chat/request.ts";
import { toolsOf } from "../api/openai-chat/tools.ts";
import { parseJson } from "../core/json-gate.ts";
import type { ToolCall } from "../core/tools.ts";
import { composed } from "./fingerprint.ts";
import type { ParsedRequest } from "./parsed-request.ts";

export interface WireChain {
  /** The history up to the last answer in the request; null when it has none. */
  readonly answered: string | null;
  /** All of the request. */
  readonly whole: string;
}

/** What a client has received as an answer. */
export interface WireAnswer {
  readonly text: string;
  /** In the API before `tools` a call has no id. */
  readonly calls: readonly (Omit<ToolCall, "id"> & { readonly id: string | null })[];
}

/**
 * The chain of a request: of its model, effort and tools, and then of its messages with the system prompt.
 * @param owner the name of the chat key; equal chats of two keys have different chains
 */
export function wireChain({ body }: ParsedRequest, owner: string | null): WireChain {
  const { model, reasoning_effort, tools } = body;
  // `tool_choice` may rule all tools out, and a process that was started without tools is offered none later.
  const hasTools = toolsOf(body).length > 0;
  let whole = hash("", canonical([owner, model ?? null, reasoning_effort ?? null, tools ?? [], hasTools]));
  let answered: string | null = null;
  for (const message of body.messages) {
    whole = hash(whole, link(message));
    if (message.role === "assistant") answered = whole;
  }
  return { answered, whole };
}

/** The chain after an answer to a request. */
export const chainAfter = (request: string, { text, calls }: WireAnswer): string =>
  hash(
    request,
    link({
      role: "assistant",
      content: text,
      tool_calls: calls.map(({ id, name, arguments: given }) => ({ id, function: { name, arguments: given } })),
    } as ChatMessage),
  );

/** One message. An absent content is the same as an empty one, and a text the same as a list with only this text. */
function link(message: ChatMessage): string {
  const { role, content, name, tool_call_id } = message;
  const parts = typeof content === "string" ? [{ type: "text", text: content }] : (content ?? []);
  const said = parts.map((part) =>
    part.type === "text" && typeof part.text === "string" ? normalText(part.text) : canonical(part),
  );
  const calls = callsIn(message).map((call) => [call.id, call.name, normalArguments(call.arguments)]);
  const isEmpty = said.every((one) => one === "");
  // An answer has no name. A client that runs several agents adds the agent's.
  const speaker = role === "assistant" ? null : (name ?? null);
  return JSON.stringify([role, speaker, isEmpty ? [] : said, calls, tool_call_id ?? null]);
}

/** Clients change line ends, white space around a text, and the composition of accents. */
const normalText = (text: string): string => composed(text.replace(/\r\n?/g, "\n")).trim();

/** Clients parse arguments and write them again. */
function normalArguments(given: string): string {
  try {
    return canonical(parseJson(given));
  } catch {
    // A model may have written arguments that are no JSON. Clients keep them as they are.
    return given.trim();
  }
}

/** JSON in which the order of keys does not matter. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([one], [other]) => (one < other ? -1 : 1)))
      : inner,
  );

const hash = (before: string, next: string): string =>
  new Bun.CryptoHasher("sha256").update(`${before}\n${next}`).digest("hex");
