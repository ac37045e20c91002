/** The answers of `/v1/responses`, as the events of a stream or as one body. */
import type OpenAI from "openai";
import type { RequestError } from "../../core/errors.ts";
import type { CutOff, ResponsePart } from "../../core/response-part.ts";
import type { ToolCall } from "../../core/tools.ts";
import type { Usage } from "../../core/usage.ts";
import type { AnswerWriter } from "../answer-writer.ts";
import { errorMessage } from "../openai-chat/error-response.ts";
import type { StreamEvent } from "./extensions.ts";
import { itemId } from "./ids.ts";
import type { ResponsesRequest } from "./request.ts";
import { type ResponseEnd, type ResponseHead, responseBody } from "./response-body.ts";
import { callableTools, customInput } from "./tools.ts";

type OutputItem = OpenAI.Responses.ResponseOutputItem;
type CallItem = Extract<OutputItem, { type: "function_call" | "custom_tool_call" }>;
type ItemStatus = "in_progress" | "completed" | "incomplete";

/** The output's newest item, while it grows. */
interface OpenItem {
  readonly kind: "message" | "reasoning";
  readonly id: string;
  text: string;
}

const outputText = (text: string): OpenAI.Responses.ResponseOutputText => ({
  type: "output_text",
  text,
  annotations: [],
  logprobs: [],
});
const summaryText = (text: string) => ({ type: "summary_text", text }) as const;

const message = (id: string, text: string, status: ItemStatus): OutputItem => ({
  id,
  type: "message",
  role: "assistant",
  status,
  content: status === "in_progress" ? [] : [outputText(text)],
});
const reasoning = (id: string, text: string, isOpen: boolean): OutputItem => ({
  id,
  type: "reasoning",
  summary: isOpen ? [] : [summaryText(text)],
});
const itemOf = ({ kind, id, text }: OpenItem, status: ItemStatus): OutputItem =>
  kind === "message" ? message(id, text, status) : reasoning(id, text, status === "in_progress");

/**
 * Makes the writer of the answer to one request.
 * @param readHead called once, when the answer has begun: before, it is not known which turn answers the request
 */
export function responseWriter(readHead: () => ResponseHead, request: ResponsesRequest): AnswerWriter {
  let begun: ResponseHead | null = null;
  const head = (): ResponseHead => {
    begun ??= readHead();
    return begun;
  };
  const tools = callableTools(request);
  /** The items that are complete. */
  const output: OutputItem[] = [];
  let open: OpenItem | null = null;
  let end: ResponseEnd = { status: "in_progress" };
  let usage: Usage | null = null;
  let sequence = 0;

  const event = (body: StreamEvent): string => {
    const data = JSON.stringify({ ...body, sequence_number: sequence });
    sequence += 1;
    return `event: ${body.type}\ndata: ${data}\n\n`;
  };
  const body = () => responseBody(head(), request, output, end, usage);

  /** Adds a piece of text to the open item of this kind. It opens one if there is none. */
  const append = (kind: OpenItem["kind"], delta: string): string => {
    const events = open?.kind === kind ? "" : close() + begin(kind);
    const { id: item_id } = open as unknown as OpenItem;
    (open as unknown as OpenItem).text += delta;
    const at = { item_id, output_index: output.length };
    return (
      events +
      (kind === "message"
        ? event({ type: "response.output_text.delta", ...at, content_index: 0, delta, logprobs: [] })
        : event({ type: "response.reasoning_summary_text.delta", ...at, summary_index: 0, delta }))
    );
  };

  const begin = (kind: OpenItem["kind"]): string => {
    const output_index = output.length;
    open = { kind, id: itemId(kind, head().id, output_index), text: "" };
    const at = { item_id: open.id, output_index };
    return (
      event({ type: "response.output_item.added", output_index, item: itemOf(open, "in_progress") }) +
      (kind === "message"
        ? event({ type: "response.content_part.added", ...at, content_index: 0, part: outputText("") })
        : event({ type: "response.reasoning_summary_part.added", ...at, summary_index: 0, part: summaryText("") }))
    );
  };

  /** Completes the open item, if there is one. */
  const close = (status: ItemStatus = "completed"): string => {
    if (open === null) return "";
    const { kind, id: item_id, text } = open;
    const item = itemOf(open, status);
    const output_index = output.length;
    const at = { item_id, output_index };
    open = null;
    output.push(item);
    return (
      (kind === "message"
        ? event({ type: "response.output_text.done", ...at, content_index: 0, text, logprobs: [] }) +
          event({ type: "response.content_part.done", ...at, content_index: 0, part: outputText(text) })
        : event({ type: "response.reasoning_summary_text.done", ...at, summary_index: 0, text }) +
          event({ type: "response.reasoning_summary_part.done", ...at, summary_index: 0, part: summaryText(text) })) +
      event({ type: "response.output_item.done", output_index, item })
    );
  };

  const callItem = ({ id: call_id, name: chatName, arguments: json }: ToolCall, index: number): CallItem => {
    const { name, namespace, isCustom } = tools.get(chatName) ?? { name: chatName, namespace: null, isCustom: false };
    const common = { call_id, name, ...(namespace === null ? {} : { namespace }) };
    return isCustom
      ? { id: itemId("customCall", head().id, index), type: "custom_tool_call", ...common, input: customInput(json) }
      : {
          id: itemId("call", head().id, index),
          type: "function_call",
          ...common,
          arguments: json,
          status: "completed",
        };
  };

  const writeCall = (call: ToolCall): string => {
    const output_index = output.length;
    const item = callItem(call, output_index);
    output.push(item);
    const done = (events: string, added: OutputItem) =>
      event({ type: "response.output_item.added", output_index, item: added }) + events;
    if (item.type === "custom_tool_call") {
      const at = { item_id: item.id as string, output_index };
      const { input } = item;
      return (
        done("", { ...item, input: "" }) +
        event({ type: "response.custom_tool_call_input.delta", ...at, delta: input }) +
        event({ type: "response.custom_tool_call_input.done", ...at, input }) +
        event({ type: "response.output_item.done", output_index, item })
      );
    }
    const at = { item_id: itemId("call", head().id, output_index), output_index };
    const { arguments: json } = item;
    return (
      done("", { ...item, arguments: "", status: "in_progress" } as OutputItem) +
      event({ type: "response.function_call_arguments.delta", ...at, delta: json }) +
      event({
        type: "response.function_call_arguments.done",
        ...at,
        name: item.name,
        arguments: json,
      } as StreamEvent) +
      event({ type: "response.output_item.done", output_index, item })
    );
  };

  const fail = (error: RequestError): string => {
    const events = close("incomplete");
    end = { status: "failed", error };
    // OpenAI's libraries throw this event. Codex and others read the one that follows at the end.
    return events + event({ type: "error", code: error.code, message: errorMessage(error), param: error.param });
  };

  const finish = (reason: CutOff | null): string => {
    // An answer always has a message.
    const empty =
      output.some(({ type }) => type === "message") || open?.kind === "message" ? "" : close() + begin("message");
    end = reason === null ? { status: "completed" } : { status: "incomplete", cutOff: reason };
    return empty + close(reason === null ? "completed" : "incomplete");
  };

  const part = (part: ResponsePart): string => {
    switch (part.type) {
      case "text":
        return append("message", part.text);
      case "progress":
        // The text of an answer is one message, because programs read only the last one.
        return open?.kind === "message" || output.some(({ type }) => type === "message")
          ? ""
          : append("reasoning", part.text);
      case "calls":
        end = { status: "completed" };
        return close() + part.calls.map(writeCall).join("");
      case "error":
        return fail(part.error);
      case "finish":
        return finish(part.reason ?? null);
      case "usage":
        usage = part.usage;
        return "";
    }
  };

  return {
    hasUsage: true,
    start: () =>
      event({ type: "response.created", response: body() }) + event({ type: "response.in_progress", response: body() }),
    part,
    // Not all libraries know an event for this, and all ignore comments.
    heartbeat: () => ": waiting for Claude\n\n",
    end: () => {
      switch (end.status) {
        case "failed":
          return event({ type: "response.failed", response: body() });
        case "incomplete":
          return event({ type: "response.incomplete", response: body() });
        case "completed":
          return event({ type: "response.completed", response: body() });
        default:
          // The client has disconnected.
          return "";
      }
    },
    whole: ({ text, progress, calls, cutOff, usage: known }) => {
      if (progress !== "") output.push(reasoning(itemId("reasoning", head().id, output.length), progress, false));
      if (text !== "" || calls.length === 0) {
        const status = cutOff === null ? "completed" : "incomplete";
        output.push(message(itemId("message", head().id, output.length), text, status));
      }
      for (const call of calls) output.push(callItem(call, output.length));
      end = cutOff === null ? { status: "completed" } : { status: "incomplete", cutOff };
      usage = known;
      return body();
    },
  };
}
