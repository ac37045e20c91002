/** The input items of a request as messages of chat completions. */
import { RequestError } from "../../core/errors.ts";
import type { ChatMessage, ContentPart } from "../openai-chat/request.ts";
import type { InputItem, ResponsesRequest } from "./request.ts";
import { chatName, customArguments } from "./tools.ts";

/** A message, and the index of the first item that it was made from. */
export interface ItemMessage {
  readonly message: ChatMessage;
  readonly item: number;
}

/** Items that say nothing that Claude could use: what another model thought, or what OpenAI's servers keep. */
const IGNORED = new Set(["reasoning", "compaction", "compaction_trigger", "configuration_update"]);

type Call = { id: string | null | undefined; type: "function"; function: { name: string; arguments: unknown } };

/** The index of the last item that only refers to one of an earlier response; -1 when there is none. */
export const lastReference = (input: ResponsesRequest["input"]): number =>
  typeof input === "string" ? -1 : (input ?? []).findLastIndex(({ type }) => type === "item_reference");

/**
 * Reads the items of an input. The text and the calls of one answer are one message.
 * @param from the index of the first item to read
 * @throws RequestError (`invalid_request`) for an item that Claude cannot be given
 */
export function messagesOf(input: string | readonly InputItem[], from = 0): ItemMessage[] {
  if (typeof input === "string") return [{ message: { role: "user", content: input }, item: 0 }];
  const messages: ItemMessage[] = [];
  input.forEach((item, index) => {
    const message = index < from ? null : readItem(item, index);
    if (message === null) return;
    const last = messages.at(-1);
    if (message.role === "assistant" && last?.message.role === "assistant") {
      messages.splice(-1, 1, { ...last, message: joined(last.message, message) });
    } else messages.push({ message, item: index });
  });
  return messages;
}

/** @returns null for an item that is ignored */
function readItem(item: InputItem, index: number): ChatMessage | null {
  const { type = "message", role = "user", content } = item;
  switch (type) {
    case "message":
      return role === "assistant"
        ? { role, content: textOf(content) }
        : { role, content: typeof content === "string" ? content : (content ?? []).map(chatPart) };
    case "function_call":
      return assistantCall(item, item.arguments ?? "");
    case "custom_tool_call":
      return assistantCall(item, customArguments(typeof item.input === "string" ? item.input : ""));
    case "function_call_output":
    case "custom_tool_call_output":
      return result(item, index);
  }
  if (IGNORED.has(type)) return null;
  throw new RequestError("invalid_request", refusal(type, index), { param: `input[${index}].type` });
}

const refusal = (type: string, index: number): string =>
  type === "item_reference"
    ? `input[${index}] refers to an item of a response that is unknown, or cannot be continued. Send the item itself; most programs do with store: false.`
    : `input[${index}] is an item of the type ${type.slice(0, 50)}, which Claude cannot be given. ` +
      "Send messages, and calls of functions and custom tools with their outputs.";

/** @throws RequestError (`invalid_request`) for a result that belongs to no call */
function result({ call_id: id, output }: InputItem, index: number): ChatMessage {
  if (!id) {
    throw new RequestError("invalid_request", `input[${index}].call_id is missing; it must be the id of the call.`, {
      param: `input[${index}].call_id`,
    });
  }
  return {
    role: "tool",
    tool_call_id: id,
    content: typeof output === "string" ? output : (output ?? []).map(chatPart),
  };
}

function assistantCall({ call_id: id, name, namespace }: InputItem, given: unknown): ChatMessage {
  const call: Call = { id, type: "function", function: { name: chatName(name ?? "", namespace), arguments: given } };
  return { role: "assistant", content: null, tool_calls: [call] };
}

/** The text of an answer, with a refusal. What the client does not show, such as annotations, is left out. */
const textOf = (content: InputItem["content"]): string =>
  typeof content === "string"
    ? content
    : (content ?? []).map(({ text, refusal }) => text ?? (typeof refusal === "string" ? refusal : "")).join("");

/** A text in the form of chat completions, so that one conversation can be continued in both APIs. */
const chatPart = (part: ContentPart): ContentPart =>
  (part.type === "input_text" || part.type === "output_text") && part.text !== undefined
    ? { type: "text", text: part.text }
    : part;

/** Two parts of one answer. */
function joined(one: ChatMessage, other: ChatMessage): ChatMessage {
  const texts = [one.content, other.content].filter((text) => typeof text === "string" && text !== "");
  return {
    role: "assistant",
    content: texts.length === 0 ? null : texts.join("\n\n"),
    tool_calls: [...(one.tool_calls ?? []), ...(other.tool_calls ?? [])],
  };
}
