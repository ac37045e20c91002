/** Limits on a request's size: those of chat completions. */
import { checkSize as checkChatSize } from "../openai-chat/request-size.ts";

/**
 * Checks the size of a request before it is validated.
 * @param body any JSON value; what is not a request passes, and fails validation
 * @throws RequestError (`invalid_request`) that names the field of the chat form and its limit
 */
export function checkSize(body: unknown): void {
  if (typeof body !== "object" || body === null) return;
  const { instructions, input, tools, tool_choice, text } = body as Readonly<Record<string, unknown>>;
  const items = Array.isArray(input) ? input : [{ role: "user", content: input }];
  checkChatSize({
    messages: [{ role: "system", content: instructions }, ...items],
    tools,
    tool_choice: { allowed_tools: tool_choice },
    response_format: text,
  });
}
