/**
 * `functions` and `function_call`: OpenAI's API before `tools`, which older clients still send. They are read as
 * tools; the answer then has one `function_call` instead of `tool_calls`, since that API has no ids to tell several
 * apart, and the result comes back as a message of the role `function`.
 */
import type { ChatRequest } from "./request.ts";

/** Whether a request must be answered in the older form. */
export const usesFunctions = ({ tools, functions }: ChatRequest): boolean =>
  !tools?.length && (functions?.length ?? 0) > 0;

/** The request with its functions as tools; as it is when it has none, or has tools. */
export function functionsAsTools(request: ChatRequest): ChatRequest {
  if (!usesFunctions(request)) return request;
  const { functions, function_call: choice } = request;
  return {
    ...request,
    tools: (functions ?? []).map((one) => ({ type: "function", function: one })),
    tool_choice: typeof choice === "object" && choice ? { type: "function", function: { name: choice.name } } : choice,
    parallel_tool_calls: false,
  };
}
