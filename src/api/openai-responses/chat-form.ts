/** A request in the form of chat completions, which everything behind the route reads. */
import { RequestError } from "../../core/errors.ts";
import type { ChatForm } from "../openai-chat/chat-form.ts";
import { type ItemMessage, messagesOf } from "./items.ts";
import type { ResponsesRequest } from "./request.ts";
import { chatChoice, chatTools } from "./tools.ts";

/**
 * Makes the chat request.
 * @param from the index of the first item that is new: Claude knows those before it
 * @throws RequestError (`invalid_request`) for a tool or an item that Claude cannot be given
 */
export function chatForm(request: ResponsesRequest, from = 0): ChatForm {
  const { model, instructions, stream, tools, tool_choice: choice, parallel_tool_calls, reasoning, text } = request;
  const { input, user, prompt_cache_key } = request;
  const items = messagesOf(input ?? [], from);
  const hasInstructions = (instructions ?? "") !== "";
  if (items.length === 0 && !hasInstructions) {
    throw new RequestError("invalid_request", "input must be a text, or have at least one item.", { param: "input" });
  }
  const offered = chatTools(tools);
  return {
    body: {
      model,
      messages: [
        ...(hasInstructions ? [{ role: "system" as const, content: instructions }] : []),
        ...items.map(({ message }) => message),
      ],
      stream,
      tools: offered.length === 0 ? undefined : offered,
      tool_choice: choice ? chatChoice(choice) : choice,
      parallel_tool_calls,
      reasoning_effort: reasoning?.effort,
      user,
      prompt_cache_key,
      response_format: responseFormat(text?.format),
    },
    fieldName: (param) => fieldName(param, items, hasInstructions ? 1 : 0, typeof input === "string"),
  };
}

/** The same format, with the schema where chat completions have it. */
function responseFormat(format: NonNullable<ResponsesRequest["text"]>["format"]): object | undefined {
  if (!format) return undefined;
  const { type, ...schema } = format;
  return type === "json_schema" ? { type, json_schema: schema } : { type };
}

function fieldName(param: string, items: readonly ItemMessage[], before: number, isText: boolean): string {
  const [, index, rest = ""] = /^messages\[(\d+)\](.*)/.exec(param) ?? [];
  if (index !== undefined) {
    const item = items[Number(index) - before]?.item;
    return item === undefined ? "instructions" : isText ? "input" : `input[${item}]${rest}`;
  }
  return FIELDS[param] ?? param;
}

const FIELDS: Readonly<Record<string, string>> = {
  messages: "input",
  response_format: "text.format",
  reasoning_effort: "reasoning.effort",
};
