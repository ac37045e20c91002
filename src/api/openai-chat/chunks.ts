/** The answers of `/v1/chat/completions`, as chunks of a stream or as one completion. */
import type OpenAI from "openai";
import type { ResponsePart } from "../../core/response-part.ts";
import type { ToolCall } from "../../core/tools.ts";
import type { Usage } from "../../core/usage.ts";
import type { AnswerWriter } from "../answer-writer.ts";
import { errorBody } from "./error-response.ts";
import type { Delta, Message } from "./extensions.ts";

type FinishReason = NonNullable<OpenAI.ChatCompletionChunk.Choice["finish_reason"]>;

const functionOf = ({ name, arguments: json }: ToolCall) => ({ name, arguments: json });

const toolCall = (call: ToolCall) => ({ id: call.id, type: "function" as const, function: functionOf(call) });

/** The call in the form of the API before `tools`, which allows one call without an id. */
const functionCall = ([call]: readonly ToolCall[]) => (call ? { function_call: functionOf(call) } : {});

const usageBody = (usage: Usage) =>
  ({
    prompt_tokens: usage.input,
    completion_tokens: usage.output,
    total_tokens: usage.input + usage.output,
    prompt_tokens_details: { cached_tokens: usage.cached },
  }) satisfies OpenAI.CompletionUsage;

const event = (data: string): string => `data: ${data}\n\n`;

/**
 * Makes the writer of the answer to one request.
 * @param created Unix time in seconds
 * @param hasUsage `stream_options.include_usage`: the last chunk has the usage, and every other one `usage: null`
 * @param usesFunctions the request is of the API before `tools`: a call is sent as `function_call`
 */
export function completion(created: number, model: string, hasUsage: boolean, usesFunctions: boolean): AnswerWriter {
  const id = `chatcmpl-synthesis-${crypto.randomUUID()}`;
  const chunk = (choices: OpenAI.ChatCompletionChunk.Choice[], usage: OpenAI.CompletionUsage | null) =>
    event(
      JSON.stringify({
        id,
        object: "chat.completion.chunk",
        created,
        model,
        choices,
        ...(hasUsage ? { usage } : {}),
      } satisfies OpenAI.ChatCompletionChunk),
    );
  const choice = (delta: Delta, finish_reason: FinishReason | null = null) =>
    chunk([{ index: 0, delta, logprobs: null, finish_reason }], null);

  const callsReason = usesFunctions ? "function_call" : "tool_calls";
  const callsDelta = (calls: readonly ToolCall[]): Delta =>
    usesFunctions ? functionCall(calls) : { tool_calls: calls.map((call, index) => ({ index, ...toolCall(call) })) };

  const part = (part: ResponsePart): string => {
    switch (part.type) {
      case "text":
        return choice({ content: part.text });
      case "progress":
        return choice({ reasoning_content: part.text });
      case "calls":
        return choice(callsDelta(part.calls)) + choice({}, callsReason);
      case "error":
        return event(JSON.stringify(errorBody(part.error)));
      case "finish":
        return choice({}, part.reason ?? "stop");
      case "usage":
        return hasUsage ? chunk([], usageBody(part.usage)) : "";
    }
  };

  return {
    hasUsage,
    start: () => choice({ role: "assistant", content: "" }),
    part,
    // OpenClaw counts a chunk as progress, but not an SSE comment.
    heartbeat: () => choice({ content: "" }),
    end: () => event("[DONE]"),
    whole: ({ text, progress, calls, cutOff, usage }) => {
      const message: Message = {
        role: "assistant",
        content: text === "" && calls.length > 0 ? null : text,
        refusal: null,
        ...(progress === "" ? {} : { reasoning_content: progress }),
        ...(calls.length === 0 ? {} : usesFunctions ? functionCall(calls) : { tool_calls: calls.map(toolCall) }),
      };
      const finish_reason = calls.length > 0 ? callsReason : (cutOff ?? "stop");
      return {
        id,
        object: "chat.completion",
        created,
        model,
        choices: [{ index: 0, message, logprobs: null, finish_reason }],
        ...(usage ? { usage: usageBody(usage) } : {}),
      } satisfies OpenAI.ChatCompletion;
    },
  };
}
