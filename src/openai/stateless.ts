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

const JSON_ONLY = "Answer with a single JSON object and nothing else: no words around it, no code fence.";

/** @throws ApiError (400) when nothing asks for an answer, or something cannot be shown to claude */
export function readStateless(request: ChatRequest): Stateless {
  const read = options.safeParse(request);
  if (!read.success) {
    throw new ApiError("invalid_request", "response_format is not understood.", "response_format");
  }
  const { response_format: wanted } = read.data;
  const system = [systemText(request)];
  let format: Stateless["format"] = { type: "text" };
  if (wanted?.type === "json_schema" || wanted?.type === "json_object") {
    const schema = wanted.json_schema?.schema ?? null;
    // claude gives such an answer as a tool's input, and that is always an object.
    const held = schema?.type === "object" ? schema : null;
    format = { type: "json", schema: held };
    if (!held) system.push(schema ? `${JSON_ONLY} It fits this JSON schema: ${JSON.stringify(schema)}` : JSON_ONLY);
  }
  return {
    system: system.filter((text) => text !== "").join("\n\n"),
    turns: readTurns(request.messages),
    format,
  };
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
