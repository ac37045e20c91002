/** A response as an object: while it is in progress, and when it has ended. */
import type OpenAI from "openai";
import type { RequestError } from "../../core/errors.ts";
import type { CutOff } from "../../core/response-part.ts";
import type { Usage } from "../../core/usage.ts";
import { errorMessage, errorStatus } from "../openai-chat/error-response.ts";
import type { ResponseBody } from "./extensions.ts";
import type { ResponsesRequest } from "./request.ts";

type OutputItem = OpenAI.Responses.ResponseOutputItem;

/** What a response says about itself. */
export interface ResponseHead {
  readonly id: string;
  /** Unix time in seconds. */
  readonly created: number;
  readonly model: string;
}

export type ResponseEnd =
  | { readonly status: "completed" }
  | { readonly status: "incomplete"; readonly cutOff: CutOff }
  | { readonly status: "failed"; readonly error: RequestError }
  | { readonly status: "cancelled" }
  | { readonly status: "in_progress" };

const REASONS = { length: "max_output_tokens", content_filter: "content_filter" } as const;

/** @param request what the client has asked for, which the response repeats */
export function responseBody(
  { id, created, model }: ResponseHead,
  request: ResponsesRequest,
  output: readonly OutputItem[],
  end: ResponseEnd,
  usage: Usage | null,
): ResponseBody {
  const { conversation } = request;
  return {
    id,
    object: "response",
    created_at: created,
    status: end.status,
    background: false,
    access_programs: null,
    ...(end.status === "completed" ? { completed_at: Math.floor(Date.now() / 1000) } : {}),
    error: end.status === "failed" ? responseError(end.error) : null,
    incomplete_details: end.status === "incomplete" ? { reason: REASONS[end.cutOff] } : null,
    instructions: request.instructions ?? null,
    max_output_tokens: request.max_output_tokens ?? null,
    metadata: request.metadata ?? {},
    model,
    output: [...output],
    parallel_tool_calls: request.parallel_tool_calls ?? true,
    previous_response_id: request.previous_response_id ?? null,
    ...(conversation
      ? { conversation: { id: typeof conversation === "string" ? conversation : conversation.id } }
      : {}),
    prompt_cache_key: request.prompt_cache_key ?? null,
    reasoning: { effort: request.reasoning?.effort ?? null, summary: null },
    safety_identifier: request.safety_identifier ?? null,
    service_tier: "default",
    temperature: request.temperature ?? 1,
    // The client's own values: only what is read of them has been checked.
    text: (request.text ?? { format: { type: "text" } }) as OpenAI.Responses.ResponseTextConfig,
    tool_choice: (request.tool_choice ?? "auto") as ResponseBody["tool_choice"],
    tools: (request.tools ?? []) as unknown as OpenAI.Responses.Tool[],
    top_p: request.top_p ?? 1,
    truncation: request.truncation ?? "disabled",
    ...(usage === null ? {} : { usage: responseUsage(usage) }),
    ...(request.user ? { user: request.user } : {}),
  };
}

const responseUsage = ({ input, cached, output }: Usage): OpenAI.Responses.ResponseUsage => ({
  input_tokens: input,
  // Claude Code does not say how many of an answer's input tokens were written to the cache.
  input_tokens_details: { cached_tokens: cached, cache_write_tokens: 0 },
  output_tokens: output,
  // Claude Code does not count thinking apart.
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: input + output,
});

/** After other codes Codex would repeat a request that must not be repeated. */
function responseError(error: RequestError): NonNullable<ResponseBody["error"]> {
  const status = errorStatus(error);
  const code =
    error.code === "context_length_exceeded"
      ? error.code
      : status === 429
        ? "rate_limit_exceeded"
        : status < 500
          ? "invalid_prompt"
          : "server_error";
  return { code, message: errorMessage(error) };
}
