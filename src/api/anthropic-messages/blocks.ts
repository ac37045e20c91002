/** The messages of a request as messages of chat completions. */
import { RequestError } from "../../core/errors.ts";
import type { ChatMessage, ContentPart } from "../openai-chat/request.ts";
import { type Block, documentContent, type InnerBlock, type Message } from "./request.ts";

/** A message, and the index of the one that it was made from. */
export interface OriginMessage {
  readonly message: ChatMessage;
  readonly origin: number;
}

/**
 * Results come first, as messages of their own: Claude's calls are answered before the person goes on.
 * @throws RequestError (`invalid_request`) for a document whose content is neither a text nor blocks
 */
export const chatMessages = (messages: readonly Message[]): OriginMessage[] =>
  messages.flatMap(({ role, content }, origin) => {
    const blocks: readonly Block[] = typeof content === "string" ? [{ type: "text", text: content }] : content;
    const made = role === "assistant" ? [assistantMessage(blocks)] : userMessages(role, blocks);
    return made.map((message) => ({ message, origin }));
  });

/** The text and the calls of an answer. What another model thought, or a server of Anthropic's did, is left out. */
function assistantMessage(blocks: readonly Block[]): ChatMessage {
  const text = blocks.flatMap((block) => (block.type === "text" && block.text ? [block.text] : [])).join("\n\n");
  const calls = blocks.filter(({ type }) => type === "tool_use");
  return {
    role: "assistant",
    content: text === "" && calls.length > 0 ? null : text,
    ...(calls.length === 0
      ? {}
      : {
          tool_calls: calls.map(({ id, name, input }) => ({
            id,
            type: "function",
            function: { name, arguments: JSON.stringify(input ?? {}) },
          })),
        }),
  };
}

function userMessages(role: "user" | "system", blocks: readonly Block[]): ChatMessage[] {
  const results = blocks.filter(({ type }) => type === "tool_result").map(resultMessage);
  const said = blocks.filter(({ type }) => type !== "tool_result");
  if (said.length === 0 && results.length > 0) return results;
  const parts = said.flatMap(chatParts);
  const [only] = parts;
  const content = parts.length === 1 && only?.type === "text" && only.text !== undefined ? only.text : parts;
  return [...results, { role, content }];
}

const resultMessage = ({ tool_use_id, content, is_error }: Block): ChatMessage => ({
  role: "tool",
  tool_call_id: tool_use_id,
  content: typeof content === "string" ? content : (content ?? []).flatMap(chatParts),
  ...(is_error ? { is_error } : {}),
});

/** A block in the form of chat completions. A block of an unknown type stays, and is refused where the others are. */
function chatParts(block: Block | InnerBlock): ContentPart[] {
  const { type, text, source } = block;
  if (type === "text") return [{ type: "text", text: text ?? "" }];
  if (type === "image") return [{ type: "image_url", image_url: { url: urlOf(source) } }];
  if (type !== "document") return [block];
  if (source?.type === "content") return innerBlocks(source.content).flatMap(chatParts);
  const name = "title" in block && typeof block.title === "string" ? block.title : undefined;
  return [{ type: "file", file: { filename: name ?? defaultName(source), file_data: urlOf(source) } }];
}

/** As a `data:` URL, if the client sends the bytes. Other URLs are refused where the others are. */
function urlOf(source: InnerBlock["source"]): string | undefined {
  if (source === undefined) return undefined;
  const { type, media_type: media, data, url } = source;
  if (type === "base64" && data !== undefined) return `data:${media ?? ""};base64,${data}`;
  if (type === "text" && data !== undefined) return `data:text/plain;base64,${Buffer.from(data).toString("base64")}`;
  return url;
}

const defaultName = (source: InnerBlock["source"]): string =>
  source?.type === "text" ? "document.txt" : "document.pdf";

/** @throws RequestError (`invalid_request`) for anything but a text or blocks */
function innerBlocks(content: unknown): readonly InnerBlock[] {
  const { data } = documentContent.safeParse(content);
  if (data === undefined) {
    throw new RequestError("invalid_request", "The content of a document must be a text or an array of blocks.", {
      param: "messages",
    });
  }
  return typeof data === "string" ? [{ type: "text", text: data }] : data;
}
