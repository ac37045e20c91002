/** Limits on a request's size: those of chat completions. */
import { checkSize as checkChatSize } from "../openai-chat/request-size.ts";

/**
 * Checks the size of a request before it is validated.
 * @param body any JSON value; what is not a request passes, and fails validation
 * @throws RequestError (`invalid_request`) that names the field of the chat form and its limit
 */
export function checkSize(body: unknown): void {
  if (typeof body !== "object" || body === null) return;
  const { system, messages, tools, output_config } = body as Readonly<Record<string, unknown>>;
  const said = Array.isArray(messages) ? messages : [];
  checkChatSize({ messages: [{ role: "system", content: system }, ...said], tools, response_format: output_config });
}
