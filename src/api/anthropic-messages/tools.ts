/** The tools of a request and its `tool_choice`, in the form of chat completions. */
import { RequestError } from "../../core/errors.ts";
import type { ChatRequest } from "../openai-chat/request.ts";
import type { MessagesRequest, MessagesTool } from "./request.ts";

type ChatTool = NonNullable<ChatRequest["tools"]>[number];
type ChatChoice = NonNullable<ChatRequest["tool_choice"]>;

/**
 * Tools that run on Anthropic's servers, by the beginnings of their types. They are left out: Claude Code has its own.
 * All other tools of Anthropic's are refused, because the client expects their calls.
 */
const LEFT_OUT = /^(?:web_search|web_fetch|code_execution|tool_search_tool)_/;

/** @throws RequestError (`invalid_request`) for a tool that Claude Code does not know by its type */
export function chatTools(tools: readonly MessagesTool[]): ChatTool[] {
  return tools.flatMap(({ type, name = "", description, input_schema: parameters }, index): ChatTool[] => {
    if ((type ?? "custom") === "custom") return [{ type: "function", function: { name, description, parameters } }];
    if (LEFT_OUT.test(`${type}_`)) return [];
    throw new RequestError(
      "invalid_request",
      `tools[${index}].type must be custom. Claude knows no tool of the type ${type?.slice(0, 50)} here: describe it with a name and an input_schema.`,
      { param: `tools[${index}].type` },
    );
  });
}

export function chatChoice({ type, name }: NonNullable<MessagesRequest["tool_choice"]>): ChatChoice {
  if (type === "tool") return { type: "function", function: { name: name ?? "" } };
  return type === "any" ? "required" : type;
}
