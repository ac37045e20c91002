/** The answers of `/v1/chat/completions`, as chunks of a stream or as one completion. */
import type OpenAI from "openai";
import type { ToolCall } from "../../core/tools.ts";
import type { Usage } from "../../core/usage.ts";
import type { Delta, Message } from "./extensions.ts";

type FinishReason = NonNullable<OpenAI.ChatCompletionChunk.Choice["finish_reason"]>;
/** How an answer without tool calls may end. */
type TextFinishReason = Extract<FinishReason, "stop" | "length" | "content_filter">;

interface WholeAnswer {
  readonly content: string;
  /** Empty when there is none. */
  readonly progress: string;
  readonly calls: readonly ToolCall[];
  /** How the answer has ended, if it has no calls. */
  readonly reason: TextFinishReason;
  readonly usage: Usage | null;
}

export interface Completion {
  /** The first chunk. It names the role. */
  role(): string;
  text(content: string): string;
  /** A line about what Claude does before it answers. */
  progress(line: string): string;
  /** The chunks of an answer that ends with tool calls. */
  calls(calls: readonly ToolCall[]): readonly string[];
  /** An empty chunk. OpenClaw counts a chunk as progress, but not an SSE comment. */
  heartbeat(): string;
  finish(reason: TextFinishReason): string;
  /** The last chunk, if the request asked for it. */
  usage(usage: Usage): string;
  /** The answer to a request that does not stream. */
  whole(answer: WholeAnswer): OpenAI.ChatCompletion;
}

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

/**
 * Makes the chunks, or the body, of the answer to one request.
 * @param created Unix time in seconds
 * @param includeUsage `stream_options.include_usage`: every chunk but the last then has `usage: null`
 * @param usesFunctions the request is of the API before `tools`: a call is sent as `function_call`
 */
export function completion(created: number, model: string, includeUsage: boolean, usesFunctions: boolean): Completion {
  const id = `chatcmpl-synthesis-${crypto.randomUUID()}`;
  const chunk = (choices: OpenAI.ChatCompletionChunk.Choice[], usage: OpenAI.CompletionUsage | null) =>
    JSON.stringify({
      id,
      object: "chat.completion.chunk",
      created,
      model,
      choices,
      ...(includeUsage ? { usage } : {}),
    } satisfies OpenAI.ChatCompletionChunk);
  const choice = (delta: Delta, finish_reason: FinishReason | null) =>
    chunk([{ index: 0, delta, logprobs: null, finish_reason }], null);

  const callsReason = usesFunctions ? "function_call" : "tool_calls";
  const callsDelta = (calls: readonly ToolCall[]): Delta =>
    usesFunctions ? functionCall(calls) : { tool_calls: calls.map((call, index) => ({ index, ...toolCall(call) })) };

  return {
    role: () => choice({ role: "assistant", content: "" }, null),
    text: (content) => choice({ content }, null),
    progress: (line) => choice({ reasoning_content: line }, null),
    calls: (calls) => [choice(callsDelta(calls), null), choice({}, callsReason)],
    heartbeat: () => choice({ content: "" }, null),
    finish: (reason) => choice({}, reason),
    usage: (usage) => chunk([], usageBody(usage)),
    whole: ({ content, progress, calls, reason, usage }) => {
      const message: Message = {
        role: "assistant",
        content: content === "" && calls.length > 0 ? null : content,
        refusal: null,
        ...(progress === "" ? {} : { reasoning_content: progress }),
        ...(calls.length === 0 ? {} : usesFunctions ? functionCall(calls) : { tool_calls: calls.map(toolCall) }),
      };
      return {
        id,
        object: "chat.completion",
        created,
        model,
        choices: [{ index: 0, message, logprobs: null, finish_reason: calls.length > 0 ? callsReason : reason }],
        ...(usage ? { usage: usageBody(usage) } : {}),
      };
    },
  };
}
