/** The answers of `/v1/chat/completions`, streamed and whole, to the letter of OpenAI's reference. */

import type { ToolCall } from "../../core/tools.ts";
import type { Usage } from "../../core/usage.ts";

type FinishReason = "stop" | "length" | "content_filter" | "tool_calls" | "function_call";

interface Delta {
  role?: "assistant";
  content?: string;
  /** Not OpenAI's: by this name DeepSeek and others stream what a model thinks and does. */
  reasoning_content?: string;
  tool_calls?: object[];
  /** In the API before `tool_calls`. */
  function_call?: object;
}

const callBody = ({ id, name, arguments: given }: ToolCall) => ({
  id,
  type: "function",
  function: { name, arguments: given },
});

/** The older form of a call; it has no id, and goes out alone. */
const functionCall = ([call]: readonly ToolCall[]) =>
  call ? { function_call: { name: call.name, arguments: call.arguments } } : {};

/** A `usage` object of OpenAI's. */
function usageBody(usage: Usage) {
  return {
    prompt_tokens: usage.input,
    completion_tokens: usage.output,
    total_tokens: usage.input + usage.output,
    prompt_tokens_details: { cached_tokens: usage.cached },
  };
}

interface WholeAnswer {
  readonly content: string;
  /** Empty when there is none. */
  readonly progress: string;
  readonly calls: readonly ToolCall[];
  /** How an answer without calls has ended. */
  readonly reason: Exclude<FinishReason, "tool_calls">;
  readonly usage: Usage | null;
}

export interface Completion {
  /** The first chunk: it names the role. */
  role(): string;
  text(content: string): string;
  /** What is done on the way. */
  progress(line: string): string;
  /** The calls that the answer ends with, and its end. */
  calls(calls: readonly ToolCall[]): readonly string[];
  /** A chunk that says nothing. OpenClaw counts it as progress, and no SSE comment. */
  heartbeat(): string;
  finish(reason: "stop" | "length" | "content_filter"): string;
  /** The last chunk, when the request asked for it. */
  usage(usage: Usage): string;
  /** The whole answer of a request that does not stream; with calls when it ends with them. */
  whole(answer: WholeAnswer): object;
}

/**
 * The answer to one request.
 * @param created Unix time in seconds
 * @param includeUsage `stream_options.include_usage`: every chunk but the last then carries `usage: null`
 * @param usesFunctions the request is of the API before `tools`: a call is a `function_call`
 */
export function completion(created: number, model: string, includeUsage: boolean, usesFunctions: boolean): Completion {
  const id = `chatcmpl-synthesis-${crypto.randomUUID()}`;
  const chunk = (choices: object[], usage: object | null) =>
    JSON.stringify({
      id,
      object: "chat.completion.chunk",
      created,
      model,
      choices,
      ...(includeUsage ? { usage } : {}),
    });
  const choice = (delta: Delta, finish_reason: FinishReason | null) =>
    chunk([{ index: 0, delta, logprobs: null, finish_reason }], null);

  const callsReason = usesFunctions ? "function_call" : "tool_calls";

  return {
    role: () => choice({ role: "assistant", content: "" }, null),
    text: (content) => choice({ content }, null),
    progress: (line) => choice({ reasoning_content: line }, null),
    calls: (calls) => [
      choice(
        usesFunctions
          ? functionCall(calls)
          : { tool_calls: calls.map((call, index) => ({ index, ...callBody(call) })) },
        null,
      ),
      choice({}, callsReason),
    ],
    heartbeat: () => choice({ content: "" }, null),
    finish: (reason) => choice({}, reason),
    usage: (usage) => chunk([], usageBody(usage)),
    whole: ({ content, progress, calls, reason, usage }) => ({
      id,
      object: "chat.completion",
      created,
      model,
      choices: [
        {
          index: 0,
          message: {
            role: "assistant",
            content: content === "" && calls.length > 0 ? null : content,
            refusal: null,
            ...(progress === "" ? {} : { reasoning_content: progress }),
            ...(calls.length === 0 ? {} : usesFunctions ? functionCall(calls) : { tool_calls: calls.map(callBody) }),
          },
          logprobs: null,
          finish_reason: calls.length > 0 ? callsReason : reason,
        },
      ],
      ...(usage ? { usage: usageBody(usage) } : {}),
    }),
  };
}
