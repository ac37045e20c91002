/** The tools of a request, and its `tool_choice`. */
import { RequestError } from "../../core/errors.ts";
import type { ClientTool, ToolCatalogue } from "../../core/tools.ts";
import type { ChatRequest } from "./request.ts";

/** The tools of a request, without those that `tool_choice` rules out. */
export function toolsOf({ tools, tool_choice: choice }: ChatRequest): readonly ClientTool[] {
  if (choice === "none") return [];
  const allowed =
    typeof choice === "object" && choice?.type === "allowed_tools" && choice.allowed_tools
      ? new Set(choice.allowed_tools.tools.map((tool) => tool.function?.name))
      : null;
  return (tools ?? []).flatMap((tool): ClientTool[] => {
    if (tool.type !== "function" || !tool.function) return [];
    const { name, description, parameters } = tool.function;
    if (allowed && !allowed.has(name)) return [];
    return [{ name, description: description ?? "", parameters: parameters ?? null }];
  });
}

/**
 * The request's `tool_choice` as a sentence for Claude, since Claude Code has no way to force a call.
 * @returns null when the request leaves the choice to the model
 */
export function choiceNote({ tools, tool_choice: choice }: ChatRequest, catalogue: ToolCatalogue): string | null {
  // Tools of an earlier request may still be offered.
  if (choice === "none")
    return tools?.length ? "This message must be answered without the chat program's tools." : null;
  const required = requiredTool(choice);
  if (required === undefined || catalogue.size === 0) return null;
  if (required === null) return `This message must be answered by a call of one of the tools ${namesOf(catalogue)}.`;
  const named = [...catalogue].find(([, { name }]) => name === required)?.[0];
  return named ? `This message must be answered by a call of the tool ${named}.` : null;
}

/**
 * Refuses a request that wants a call of a tool that Claude is not offered, because its answer would have no call.
 * @param offered the tools that Claude is offered
 * @throws RequestError (`invalid_request`)
 */
export function checkChoice(request: ChatRequest, offered: ToolCatalogue): void {
  const required = requiredTool(request.tool_choice);
  const isThere = ({ name }: Pick<ClientTool, "name">) => required === null || name === required;
  if (required === undefined || [...offered.values()].some(isThere)) return;
  const advice = toolsOf(request).some(isThere)
    ? "SYNTHESIS_CLIENT_TOOLS does not let Claude have it. Change that setting, or leave tool_choice out."
    : "tools has none that is a function. Send it there, or leave tool_choice out.";
  const what = required === null ? "a tool" : `the tool ${required}`;
  throw new RequestError("invalid_request", `tool_choice asks for a call of ${what}, but ${advice}`, {
    param: "tool_choice",
  });
}

/** The tool that must be called; null when it may be any, undefined when the request leaves the choice to the model. */
function requiredTool(choice: ChatRequest["tool_choice"]): string | null | undefined {
  if (!choice || choice === "none" || choice === "auto") return undefined;
  if (choice === "required" || choice.allowed_tools?.mode === "required") return null;
  return choice.type === "function" ? choice.function?.name : undefined;
}

const namesOf = (catalogue: ToolCatalogue): string => [...catalogue.keys()].join(", ");
