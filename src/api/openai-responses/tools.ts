/** The tools of a request and its `tool_choice`, in the form of chat completions. */
import { RequestError } from "../../core/errors.ts";
import type { ChatRequest } from "../openai-chat/request.ts";
import type { ResponsesRequest, ResponsesTool } from "./request.ts";

type ChatTool = NonNullable<ChatRequest["tools"]>[number];
type ChatChoice = NonNullable<ChatRequest["tool_choice"]>;

/**
 * Tools that run on OpenAI's servers, and that clients send whether or not an answer needs them. They are left out. All
 * other tools of OpenAI's are refused, because the client expects their results.
 */
const LEFT_OUT: ReadonlySet<string> = new Set(["web_search", "web_search_preview", "image_generation", "tool_search"]);

/** The property that holds the text which a custom tool takes. */
const CUSTOM_INPUT = "input";

/** Whether a tool is left out: its type may end in a date, as `web_search_preview_2025_03_11` does. */
const isLeftOut = (type: string): boolean => LEFT_OUT.has(type.replace(/_\d{4}_\d{2}_\d{2}$/, ""));

/** @throws RequestError (`invalid_request`) for a tool that only OpenAI's servers have */
export function chatTools(tools: readonly ResponsesTool[]): ChatTool[] {
  return tools.flatMap((tool, index): ChatTool[] => {
    const { type, name = "", description, parameters } = tool;
    if (type === "function") return [{ type, function: { name, description, parameters } }];
    if (type === "custom") return [customTool(tool)];
    if (isLeftOut(type)) return [];
    throw new RequestError(
      "invalid_request",
      `tools[${index}].type must be function or custom. Tools of the type ${type.slice(0, 50)} run only on OpenAI's servers.`,
      { param: `tools[${index}].type` },
    );
  });
}

/** The names of the tools that take a text instead of arguments. */
export const customTools = ({ tools }: Pick<ResponsesRequest, "tools">): ReadonlySet<string> =>
  new Set((tools ?? []).flatMap(({ type, name }) => (type === "custom" && name !== undefined ? [name] : [])));

/** A tool that takes a text. Claude's tools take objects, so it is offered as one with the text as its only property. */
function customTool({ name = "", description, format }: ResponsesTool): ChatTool {
  const { definition, syntax } = (typeof format === "object" && format !== null ? format : {}) as Record<
    string,
    unknown
  >;
  const grammar =
    typeof definition === "string" ? `Exactly as this grammar${syntaxName(syntax)} says:\n${definition}` : "Any text.";
  return {
    type: "function",
    function: {
      name,
      description,
      parameters: {
        type: "object",
        properties: { [CUSTOM_INPUT]: { type: "string", description: grammar } },
        required: [CUSTOM_INPUT],
      },
    },
  };
}

const syntaxName = (syntax: unknown): string => (typeof syntax === "string" ? ` (${syntax.slice(0, 20)})` : "");

/** The text of a call of a custom tool. @param json the arguments of the call */
export function customInput(json: string): string {
  try {
    const given: unknown = JSON.parse(json);
    const text = typeof given === "object" && given !== null && CUSTOM_INPUT in given ? given[CUSTOM_INPUT] : given;
    return typeof text === "string" ? text : JSON.stringify(text);
  } catch {
    // A model may have written arguments that are no JSON.
    return json;
  }
}

/** The arguments of a call of a custom tool. */
export const customArguments = (text: string): string => JSON.stringify({ [CUSTOM_INPUT]: text });

/** @throws RequestError (`invalid_request`) for a choice that names no function */
export function chatChoice(choice: NonNullable<ResponsesRequest["tool_choice"]>): ChatChoice {
  if (typeof choice === "string") return choice;
  const { type, name, mode = "auto", tools = [] } = choice;
  if ((type === "function" || type === "custom") && name !== undefined) {
    return { type: "function", function: { name } };
  }
  if (type === "allowed_tools") {
    const named = tools.flatMap((tool) => (tool.name === undefined ? [] : [{ function: { name: tool.name } }]));
    return { type, allowed_tools: { mode, tools: named } };
  }
  throw new RequestError("invalid_request", "tool_choice must name a function or a custom tool of the request.", {
    param: "tool_choice",
  });
}
