/**
 * A request that is to be answered from itself alone: its system prompt, all its messages as turns of
 * user and assistant, and what its answer shall look like.
 */
import { z } from "zod";
import { ApiError } from "./errors.ts";
import type { ChatRequest } from "./request.ts";

type Message = ChatRequest["messages"][number];

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
  readonly format: { readonly type: "text" } | { readonly type: "json"; readonly schema: object | null };
}

const options = z.looseObject({
  response_format: z
    .looseObject({
      type: z.string(),
      json_schema: z.looseObject({ schema: z.record(z.string(), z.unknown()).nullish() }).nullish(),
    })
    .nullish(),
});
const toolCalls = z.array(z.looseObject({ function: z.looseObject({ name: z.string(), arguments: z.string() }) }));
const imagePart = z.looseObject({ image_url: z.union([z.string(), z.looseObject({ url: z.string() })]) });

const JSON_ONLY = "Answer with a single JSON object and nothing else: no words around it, no code fence.";

/** @throws ApiError (400) when nothing asks for an answer, or something cannot be shown to claude */
export function readStateless(request: ChatRequest): Stateless {
  const read = options.safeParse(request);
  if (!read.success) {
    throw new ApiError("invalid_request", "response_format is not understood.", "response_format");
  }
  const { response_format: wanted } = read.data;
  const system = request.messages
    .filter(({ role }) => role === "system" || role === "developer")
    .map(({ content }) => plainText(content))
    .filter((text) => text.trim() !== "");
  let format: Stateless["format"] = { type: "text" };
  if (wanted?.type === "json_schema" || wanted?.type === "json_object") {
    const schema = wanted.json_schema?.schema ?? null;
    // claude gives such an answer as a tool's input, and that is always an object.
    const held = schema?.type === "object" ? schema : null;
    format = { type: "json", schema: held };
    if (!held) system.push(schema ? `${JSON_ONLY} It fits this JSON schema: ${JSON.stringify(schema)}` : JSON_ONLY);
  }
  return {
    system: system.join("\n\n"),
    turns: readTurns(request.messages),
    format,
  };
}

function readTurns(messages: readonly Message[]): Turn[] {
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
function assistantBlocks(message: Message, called: Map<string, string>): Block[] {
  const text: Block = { type: "text", text: plainText(message.content) };
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

function userBlocks(message: Message, index: number, called: ReadonlyMap<string, string>): Block[] {
  if (message.role !== "user") {
    const name = called.get(String(message.tool_call_id)) ?? "a tool";
    return [{ type: "text", text: `[result of ${name}]\n${plainText(message.content)}` }];
  }
  if (typeof message.content === "string") return [{ type: "text", text: message.content }];
  return (message.content ?? []).map((part, at): Block => {
    if (part.type === "text" && part.text !== undefined) return { type: "text", text: part.text };
    const image = part.type === "image_url" ? imagePart.safeParse(part) : null;
    const url = image?.success ? image.data.image_url : null;
    const data = /^data:(image\/[\w.+-]+);base64,(.+)$/s.exec(typeof url === "string" ? url : (url?.url ?? ""));
    if (data) return { type: "image", source: { type: "base64", media_type: `${data[1]}`, data: `${data[2]}` } };
    throw new ApiError(
      "invalid_request",
      `Only text and images as data URLs are understood, not ${part.type}.`,
      `messages[${index}].content[${at}]`,
    );
  });
}

function plainText(content: Message["content"]): string {
  if (typeof content === "string") return content;
  return (content ?? []).flatMap(({ text }) => text ?? []).join("\n");
}

/** An answer that shall parse, without the code fence that a model likes to put around it. */
export function unfenced(answer: string): string {
  const trimmed = answer.trim();
  return /^```\w*\s*\n([\s\S]*?)\n?```$/.exec(trimmed)?.[1]?.trim() ?? trimmed;
}
