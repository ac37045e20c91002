import { errorMessage } from "../api/openai-chat/error-response.ts";
import { letsFailOver } from "../api/openclaw/failover.ts";
import type { ResponsePart } from "../core/response-part.ts";
import type { ResponseStream } from "../turn/response-stream.ts";

/**
 * The parts for OpenClaw. It repeats a request that ends with an error, and so would repeat everything that Claude has
 * done. Once Claude has the message, an error is therefore sent as text, unless OpenClaw fails over at it and Claude has
 * done nothing.
 */
export async function* errorsAsText(response: ResponseStream): AsyncGenerator<readonly ResponsePart[]> {
  let hasText = false;
  for await (const parts of response.parts()) {
    yield parts.flatMap((part): ResponsePart[] => {
      // OpenClaw treats this reason as a failed run and shows none of the text.
      if (part.type === "finish" && part.reason === "content_filter") return [{ type: "finish" }];
      if (part.type !== "error" || !response.isSent || (!response.hasBegun && letsFailOver(part.error))) {
        hasText ||= part.type === "text";
        return [part];
      }
      const text = `${hasText ? "\n\n" : ""}[synthesis: ${errorMessage(part.error)}]`;
      return [{ type: "text", text }, { type: "finish" }];
    });
  }
}
