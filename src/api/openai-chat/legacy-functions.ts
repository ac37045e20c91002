/**
 * `functions` and `function_call`, OpenAI's API before `tools`, which older clients still use. Functions are read as
 * tools. The answer then has one `function_call` instead of `tool_calls`, because that API has no ids that could tell
 * several calls apart. The result comes back in a message with the role `function`.
 */
import type { ChatRequest } from "./request.ts";

/** Whether the request uses the older API, so that the answer must use it too. */
export const usesFunctions = ({ tools, functions }: ChatRequest): boolean =>
  !tools?.length && (functions?.length ?? 0) > 0;

/** The request with its functions as tools. A request that has tools, or no functions, stays the same. */
export function functionsAsTools(request: ChatRequest): ChatRequest {
  if (!usesFunctions(request)) return request;
  const { functions, function_call: choice } = request;
  return {
    ...request,
    tools: (functions ?? []).map((definition) => ({ type: "function", function: definition })),
    tool_choice: typeof choice === "object" && choice ? { type: "function", function: { name: choice.name } } : choice,
    parallel_tool_calls: false,
  };
}
