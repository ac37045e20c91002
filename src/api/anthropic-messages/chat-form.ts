/** A request in the form of chat completions, which everything behind the route reads. */
import type { ChatForm } from "../openai-chat/chat-form.ts";
import { chatMessages, type OriginMessage } from "./blocks.ts";
import type { MessagesRequest } from "./request.ts";
import { chatChoice, chatTools } from "./tools.ts";

/** @throws RequestError (`invalid_request`) for a tool or a document that Claude cannot be given */
export function chatForm(request: MessagesRequest): ChatForm {
  const { model, system, messages, stream, tools, tool_choice: choice, metadata, output_config: output } = request;
  const instructions = systemText(system);
  const made = chatMessages(messages);
  const offered = chatTools(tools ?? []);
  const { format } = output ?? {};
  return {
    body: {
      model,
      messages: [
        ...(instructions === "" ? [] : [{ role: "system" as const, content: instructions }]),
        ...made.map(({ message }) => message),
      ],
      stream,
      tools: offered.length === 0 ? undefined : offered,
      tool_choice: choice ? chatChoice(choice) : undefined,
      parallel_tool_calls: choice?.disable_parallel_tool_use ? false : undefined,
      reasoning_effort: output?.effort,
      user: metadata?.user_id,
      response_format: format
        ? { type: format.type, json_schema: { name: "answer", schema: format.schema } }
        : undefined,
    },
    fieldName: (param) => fieldName(param, made, instructions === "" ? 0 : 1),
  };
}

const systemText = (system: MessagesRequest["system"]): string =>
  typeof system === "string"
    ? system
    : (system ?? []).flatMap(({ text }) => (text === undefined ? [] : [text])).join("\n\n");

function fieldName(param: string, made: readonly OriginMessage[], before: number): string {
  const [, index, rest = ""] = /^messages\[(\d+)\](.*)/.exec(param) ?? [];
  if (index !== undefined) {
    const origin = made[Number(index) - before]?.origin;
    // A message may be made of some blocks of another one, so the number of the block is not known.
    return origin === undefined ? "system" : `messages[${origin}]${rest.replace(/\.content\[.*/, ".content")}`;
  }
  return FIELDS[param] ?? param;
}

const FIELDS: Readonly<Record<string, string>> = {
  user: "metadata.user_id",
  response_format: "output_config.format",
  reasoning_effort: "output_config.effort",
};
