/**
 * A request that is to be answered from itself alone: its system prompt, all its messages as turns of
 * user and assistant, and what its answer shall look like.
 */
import { z } from "zod";
import { ApiError } from "./errors.ts";
import { imagesIn, isText, refuseOtherParts } from "./images.ts";
import { type Picture, readPictures } from "./pictures.ts";
import { type ChatMessage, type ChatRequest, messageText, systemText } from "./request.ts";

/** A content block as Anthropic's API has it. */
type Block =
  | { readonly type: "text"; readonly text: string }
  | {
      readonly type: "image";
      readonly source: { readonly type: "base64"; readonly media_type: string; readonly data: string };
    };

export interface Turn {
  readonly role: "user" | "assistant";
  readonly content: readonly Block[];
}

export interface Stateless {
  /** Empty when the request has none. */
  readonly system: string;
  /** User and assistant take turns; the first and the last are the user's. */
  readonly turns: readonly Turn[];
  /** `json`: the answer must parse. `schema` is there when claude itself can be held to it. */
  readonly format: Format;
}

type Format = { readonly type: "text" } | { readonly type: "json"; readonly schema: Record<string, unknown> | null };

const options = z.looseObject({
  response_format: z
    .looseObject({
      type: z.string(),
      json_schema: z.looseObject({ schema: z.record(z.string(), z.unknown()).nullish() }).nullish(),
    })
    .nullish(),
});
const toolCalls = z.array(z.looseObject({ function: z.looseObject({ name: z.string(), arguments: z.string() }) }));

/** @throws ApiError (400) when nothing asks for an answer, or something cannot be shown to claude */
export function readStateless(request: ChatRequest): Stateless {
  const format = readFormat(request);
  // claude gives such an answer as a tool's input, and that is always an object.
  const isHeld = format.type === "json" && format.schema?.type === "object";
  const asked = isHeld ? null : formatNote(format);
  return {
    system: [systemText(request), asked ?? ""].filter((text) => text !== "").join("\n\n"),
    turns: readTurns(request.messages),
    format: format.type === "json" && !isHeld ? { type: "json", schema: null } : format,
  };
}

/** @throws ApiError (400) when it is not understood */
export function readFormat(request: ChatRequest): Format {
  const read = options.safeParse(request);
  if (!read.success) {
    throw new ApiError(
      "invalid_request",
      "response_format must be an object whose type is text, json_object or json_schema.",
      "response_format",
    );
  }
  const { response_format: wanted } = read.data;
  if (wanted?.type !== "json_schema" && wanted?.type !== "json_object") return { type: "text" };
  return { type: "json", schema: wanted.json_schema?.schema ?? null };
}

/** What is asked of claude where nothing can hold it to the format; null when any answer will do. */
export function formatNote(format: Format): string | null {
  if (format.type === "text") return null;
  const only = (what: string) =>
    `Answer with a single JSON ${what} and nothing else: no words around it, no code fence.`;
  if (!format.schema) return only("object");
  return `${only("value")} It fits this JSON schema: ${JSON.stringify(format.schema)}`;
}

function readTurns(messages: readonly ChatMessage[]): Turn[] {
  const turns: { role: Turn["role"]; content: Block[] }[] = [];
  const called = new Map<string, string>();
  messages.forEach((message, index) => {
    if (message.role === "system" || message.role === "developer") return;
    const role = message.role === "assistant" ? "assistant" : "user";
    const content = (
      role === "assistant" ? assistantBlocks(message, called) : userBlocks(message, index, called)
    ).filter(
      // The API refuses blank texts.
      (block) => block.type !== "text" || block.text.trim() !== "",
    );
    if (content.length === 0) return;
    const last = turns.at(-1);
    if (last?.role === role) last.content.push(...content);
    else turns.push({ role, content });
  });
  if (turns.at(-1)?.role !== "user") {
    throw new ApiError(
      "invalid_request",
      "There is no new user text: the last message must be a user message with text in it.",
      "messages",
    );
  }
  if (turns[0]?.role === "assistant") {
    turns.unshift({ role: "user", content: [{ type: "text", text: "(The conversation begins with your words.)" }] });
  }
  return turns;
}

/** claude has none of the client's tools, so calls and results are told in words. */
function assistantBlocks(message: ChatMessage, called: Map<string, string>): Block[] {
  const text: Block = { type: "text", text: messageText(message) };
  const calls = toolCalls.safeParse(message.tool_calls);
  if (!calls.success) return [text];
  return [
    text,
    ...calls.data.map(({ id, function: { name, arguments: input } }): Block => {
      called.set(String(id), name);
      return { type: "text", text: `[called ${name} with ${input}]` };
    }),
  ];
}

function userBlocks(message: ChatMessage, index: number, called: ReadonlyMap<string, string>): Block[] {
  if (message.role !== "user") {
    const name = called.get(String(message.tool_call_id)) ?? "a tool";
    return [{ type: "text", text: `[result of ${name}]\n${messageText(message)}` }];
  }
  if (typeof message.content === "string") return [{ type: "text", text: message.content }];
  refuseOtherParts(message, index);
  const images = readPictures(imagesIn(message, index)).map(imageBlock);
  // In their order; what is not text is an image by now.
  return (message.content ?? []).flatMap((part): Block[] => {
    if (isText(part)) return [{ type: "text", text: part.text }];
    return images.splice(0, 1);
  });
}

const imageBlock = ({ bytes, mimeType }: Picture): Block => ({
  type: "image",
  source: { type: "base64", media_type: mimeType, data: Buffer.from(bytes).toString("base64") },
});

/** An answer that shall parse, without the code fence that a model likes to put around it. */
export function unfenced(answer: string): string {
  const trimmed = answer.trim();
  return /^```\w*\s*\n([\s\S]*?)\n?```$/.exec(trimmed)?.[1]?.trim() ?? trimmed;
}
