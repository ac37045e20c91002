/** The tools of a request, and its `tool_choice`. */
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
  if (catalogue.size === 0 || !choice || choice === "auto") return null;
  if (choice !== "required" && choice.type === "function") {
    const named = [...catalogue].find(([, { name }]) => name === choice.function?.name)?.[0];
    return named ? `This message must be answered by a call of the tool ${named}.` : null;
  }
  const isRequired = choice === "required" || choice.allowed_tools?.mode === "required";
  return isRequired ? `This message must be answered by a call of one of the tools ${namesOf(catalogue)}.` : null;
}

const namesOf = (catalogue: ToolCatalogue): string => [...catalogue.keys()].join(", ");
