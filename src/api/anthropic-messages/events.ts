/** The answers of `/v1/messages`, as the events of a stream or as one message. */
import type Anthropic from "@anthropic-ai/sdk";
import type { CutOff, ResponsePart } from "../../core/response-part.ts";
import type { ToolCall } from "../../core/tools.ts";
import type { Usage } from "../../core/usage.ts";
import type { AnswerWriter } from "../answer-writer.ts";
import { errorBody } from "./error-response.ts";

type Event = Anthropic.RawMessageStreamEvent;
type BlockKind = "text" | "thinking";

const textBlock = (text: string): Anthropic.TextBlock => ({ type: "text", text, citations: null });
/** Without a signature, since this is no thinking of a model. */
const thinkingBlock = (thinking: string): Anthropic.ThinkingBlock => ({ type: "thinking", thinking, signature: "" });
const toolUse = (call: ToolCall, input: unknown): Anthropic.ToolUseBlock => ({
  type: "tool_use",
  id: call.id,
  name: call.name,
  input,
  caller: { type: "direct" },
});

/** The arguments of a call. A model may have written something that is no object. */
function inputOf({ arguments: json }: ToolCall): object {
  try {
    const input: unknown = JSON.parse(json);
    return typeof input === "object" && input !== null ? input : { input };
  } catch {
    return { input: json };
  }
}

const STOP_REASONS = { length: "max_tokens", content_filter: "refusal" } as const satisfies Record<CutOff, string>;

const usageBody = ({ input, cached, output }: Usage) => ({
  input_tokens: input - cached,
  cache_read_input_tokens: cached,
  // Claude Code does not say how many of an answer's input tokens were written to the cache.
  cache_creation_input_tokens: 0,
  output_tokens: output,
  output_tokens_details: null,
  server_tool_use: null,
});
const UNKNOWN: Usage = { input: 0, cached: 0, output: 0 };

const event = (body: Event): string => `event: ${body.type}\ndata: ${JSON.stringify(body)}\n\n`;

/**
 * Makes the writer of the answer to one request.
 * @param showsProgress the client expects thinking: what Claude is doing is sent in its place. Other clients take the
 *   first block for the answer
 */
export function messageWriter(model: string, showsProgress: boolean): AnswerWriter {
  const id = `msg_${crypto.randomUUID().replaceAll("-", "")}`;
  let index = -1;
  let open: BlockKind | null = null;
  let hasText = false;
  let stopReason: Anthropic.StopReason | null = null;
  let usage = UNKNOWN;

  const body = (content: Anthropic.ContentBlock[], stop_reason: Anthropic.StopReason | null): Anthropic.Message => ({
    id,
    type: "message",
    role: "assistant",
    model,
    content,
    container: null,
    diagnostics: null,
    stop_reason,
    stop_sequence: null,
    stop_details: null,
    usage: {
      ...usageBody(usage),
      cache_creation: null,
      inference_geo: null,
      service_tier: "standard",
      speed: null,
    },
  });

  const begin = (block: Anthropic.ContentBlock): string => {
    const closed = close();
    index += 1;
    return closed + event({ type: "content_block_start", index, content_block: block });
  };
  const close = (): string => {
    if (open === null) return "";
    open = null;
    return event({ type: "content_block_stop", index });
  };
  const append = (kind: BlockKind, text: string): string => {
    let started = "";
    if (open !== kind) {
      started = begin(kind === "text" ? textBlock("") : thinkingBlock(""));
      open = kind;
    }
    const delta: Anthropic.RawContentBlockDelta =
      kind === "text" ? { type: "text_delta", text } : { type: "thinking_delta", thinking: text };
    return started + event({ type: "content_block_delta", index, delta });
  };
  const writeCall = (call: ToolCall): string => {
    const partial_json = JSON.stringify(inputOf(call));
    return (
      begin(toolUse(call, {})) +
      event({ type: "content_block_delta", index, delta: { type: "input_json_delta", partial_json } }) +
      event({ type: "content_block_stop", index })
    );
  };

  const part = (part: ResponsePart): string => {
    switch (part.type) {
      case "text":
        hasText = true;
        return append("text", part.text);
      case "progress":
        return showsProgress ? append("thinking", part.text) : "";
      case "calls":
        stopReason = "tool_use";
        return part.calls.map(writeCall).join("") + close();
      case "finish": {
        // Many programs read the first text without looking whether there is one.
        const empty = hasText ? "" : append("text", "");
        stopReason = part.reason === undefined ? "end_turn" : STOP_REASONS[part.reason];
        return empty + close();
      }
      case "usage":
        usage = part.usage;
        return "";
      case "error":
        return `${close()}event: error\ndata: ${JSON.stringify(errorBody(part.error))}\n\n`;
    }
  };

  return {
    hasUsage: true,
    start: () => event({ type: "message_start", message: body([], null) }),
    part,
    heartbeat: () => 'event: ping\ndata: {"type":"ping"}\n\n',
    // After an error, or when the client has disconnected, there is no message to end.
    end: () => {
      if (stopReason === null) return "";
      const delta = { stop_reason: stopReason, stop_sequence: null, stop_details: null, container: null };
      return event({ type: "message_delta", delta, usage: usageBody(usage) }) + event({ type: "message_stop" });
    },
    whole: ({ text, progress, calls, cutOff, usage: known }) => {
      usage = known ?? UNKNOWN;
      const content = [
        ...(showsProgress && progress !== "" ? [thinkingBlock(progress)] : []),
        ...(text !== "" || calls.length === 0 ? [textBlock(text)] : []),
        ...calls.map((call) => toolUse(call, inputOf(call))),
      ];
      return body(content, calls.length > 0 ? "tool_use" : cutOff === null ? "end_turn" : STOP_REASONS[cutOff]);
    },
  };
}
