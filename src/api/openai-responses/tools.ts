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

/** A tool, also one in a namespace. */
interface FoundTool {
  readonly tool: ResponsesTool;
  /** Null for none. */
  readonly namespace: string | null;
  /** The field of the request. */
  readonly param: string;
}

/** All tools of a request. A namespace counts as its tools. */
const allTools = (tools: ResponsesRequest["tools"]): readonly FoundTool[] =>
  (tools ?? []).flatMap((tool, index): FoundTool[] => {
    const param = `tools[${index}]`;
    if (tool.type !== "namespace") return [{ tool, namespace: null, param }];
    const { name: namespace = "", tools: inner = [] } = tool;
    return inner.map((one, at) => ({ tool: one, namespace, param: `${param}.tools[${at}]` }));
  });

/** A tool's name in chat completions, which have no namespaces. OpenAI's names have no dots. */
export const chatName = (name: string, namespace: string | null | undefined): string =>
  namespace ? `${namespace}.${name}` : name;

/** @throws RequestError (`invalid_request`) for a tool that only OpenAI's servers have */
export function chatTools(tools: ResponsesRequest["tools"]): ChatTool[] {
  return allTools(tools).flatMap(({ tool, namespace, param }): ChatTool[] => {
    const { type, description, parameters } = tool;
    const name = chatName(tool.name ?? "", namespace);
    if (type === "function") return [{ type, function: { name, description, parameters } }];
    if (type === "custom") return [customTool(tool, name)];
    if (isLeftOut(type)) return [];
    throw new RequestError(
      "invalid_request",
      `${param}.type must be function, custom or namespace. Tools of the type ${type.slice(0, 50)} run only on OpenAI's servers.`,
      { param: `${param}.type` },
    );
  });
}

/** A tool as a call of it names it. */
export interface CallableTool {
  readonly name: string;
  /** Null for none. */
  readonly namespace: string | null;
  /** It takes a text instead of arguments. */
  readonly isCustom: boolean;
}

/** The tools of a request that Claude can call, by their names in chat completions. */
export const callableTools = ({ tools }: Pick<ResponsesRequest, "tools">): ReadonlyMap<string, CallableTool> =>
  new Map(
    allTools(tools).map(({ tool: { type, name = "" }, namespace }) => [
      chatName(name, namespace),
      { name, namespace, isCustom: type === "custom" },
    ]),
  );

/** A tool that takes a text. Claude's tools take objects, so it is offered as one with the text as its only property. */
function customTool({ description, format }: ResponsesTool, name: string): ChatTool {
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
