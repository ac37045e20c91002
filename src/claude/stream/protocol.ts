/**
 * The lines of `claude --print --input-format stream-json --output-format stream-json`, as far as synthesis reads them.
 * Claude Code documents the format as that of its Agent SDK. Unknown lines and fields are ignored, because every version
 * adds some.
 */
import { z } from "zod";
import type { DialogueTurn, MessageContent } from "../../core/dialogue.ts";
import { JSON_BOUNDS, JsonRejected, parseJson } from "../../core/json-gate.ts";

/** The arguments of `claude` for stream-json both ways, with every token. */
export const STREAM_JSON_ARGUMENTS = [
  "--print",
  "--input-format",
  "stream-json",
  "--output-format",
  "stream-json",
  "--include-partial-messages",
  "--verbose",
] as const;

const contentBlock = z.object({
  type: z.string(),
  text: z.string().optional(),
  /** Of a `tool_use` block. */
  id: z.string().optional(),
  name: z.string().optional(),
  input: z.unknown().optional(),
  /** Of a `tool_result` block. */
  tool_use_id: z.string().optional(),
  is_error: z.boolean().nullish(),
});

/** The tool use of the subagent that the line comes from; null for the main conversation. */
const parent = z.string().nullish();

/** An event of the Anthropic Messages API, passed on while the model writes. */
const streamEvent = z.object({
  type: z.literal("stream_event"),
  parent_tool_use_id: parent,
  api_message_id: z.string().optional(),
  /** The stream has broken off, and Claude Code repeats the request. */
  abandoned_blocks: z.object({ api_message_id: z.string().optional() }).optional(),
  event: z.object({
    type: z.string(),
    index: z.number().optional(),
    content_block: z.object({ type: z.string() }).optional(),
    delta: z
      .looseObject({ type: z.string().optional(), text: z.string().optional(), stop_reason: z.string().nullish() })
      .optional(),
    /** Of `message_delta`: the final count. */
    usage: z.object({ output_tokens: z.number().optional() }).optional(),
  }),
});

/** A block of the model's message that is complete. Of a failed request `model-failure.ts` reads more. */
const assistant = z.looseObject({
  type: z.literal("assistant"),
  parent_tool_use_id: parent,
  /** The kind of failure, when the text is Claude Code's account of a failed model request. */
  error: z.string().optional(),
  message: z.looseObject({
    id: z.string(),
    model: z.string().optional(),
    stop_reason: z.string().nullish(),
    content: z.array(contentBlock),
    usage: z
      .looseObject({
        input_tokens: z.number(),
        output_tokens: z.number(),
        cache_read_input_tokens: z.number().nullish(),
        cache_creation_input_tokens: z.number().nullish(),
      })
      // A text counts also without figures.
      .catch({ input_tokens: 0, output_tokens: 0 }),
  }),
});

/** Tool results, among others. */
const user = z.object({
  type: z.literal("user"),
  parent_tool_use_id: parent,
  message: z.object({ content: z.union([z.string(), z.array(contentBlock)]) }),
});

const count = z.number().catch(0);

const modelFigures = z.object({
  contextWindow: z.number().optional().catch(undefined),
  inputTokens: count,
  cacheReadInputTokens: count,
  cacheCreationInputTokens: count,
  outputTokens: count,
  costUSD: z.number().optional().catch(undefined),
});
/** What each model has used. */
export const modelUsage = z.record(z.string(), modelFigures);

/** Claude Code has finished a turn. */
const result = z.object({
  type: z.literal("result"),
  is_error: z.boolean(),
  /** The last text, or Claude Code's account of a failure. */
  result: z.string().optional(),
  /** The same account where there is no text. */
  errors: z.array(z.string()).optional(),
  /** The answer that fits the schema of `initialize`. */
  structured_output: z.unknown().optional(),
  usage: z
    .looseObject({
      input_tokens: count,
      cache_read_input_tokens: count,
      cache_creation_input_tokens: count,
      output_tokens: count,
    })
    .optional()
    .catch(undefined),
  /** What the process has cost so far, in US dollars. */
  total_cost_usd: z.number().optional().catch(undefined),
  /** By model; all its calls so far, those of subagents included. */
  modelUsage: modelUsage.optional().catch(undefined),
  /** For example `completed`, `api_error`, or `aborted_streaming` after an interruption. */
  terminal_reason: z.string().optional(),
  user_message_uuids: z.array(z.string()).default([]),
});

/** What becomes of a message: `queued`, `started`, `completed` or `cancelled`. */
const lifecycle = z.object({
  type: z.literal("command_lifecycle"),
  command_uuid: z.string(),
  state: z.string(),
});

const system = z.object({
  type: z.literal("system"),
  subtype: z.string(),
  /** Of `status`: `requesting` when a model request starts. */
  status: z.string().nullish(),
  /** Of `api_retry`. */
  error_status: z.number().nullish().catch(null),
  error: z.string().optional().catch(undefined),
  retry_delay_ms: z.number().optional().catch(undefined),
  /** Of `informational`, when a hook of the user's has refused the message. */
  prompt_submit_outcome: z.object({}).optional(),
});

const window = z.object({ utilization: z.number(), resetsAt: z.number().optional().catch(undefined) });

/** How much of the plan is used. `utilization` is 1 when all of a window is used; `resetsAt` is in seconds. */
const rateLimitEvent = z.object({
  type: z.literal("rate_limit_event"),
  rate_limit_info: z.object({
    unifiedWindows: z.record(z.string(), window.optional().catch(undefined)).optional().catch(undefined),
    /** The window that limits the account now, when it is near its limit. */
    rateLimitType: z.string().optional().catch(undefined),
    utilization: z.number().optional().catch(undefined),
    resetsAt: z.number().optional().catch(undefined),
  }),
});

const controlRequest = z.object({
  type: z.literal("control_request"),
  request_id: z.string(),
  request: z.discriminatedUnion("subtype", [
    z.object({
      subtype: z.literal("can_use_tool"),
      tool_name: z.string(),
      input: z.record(z.string(), z.unknown()),
      tool_use_id: z.string().optional(),
      agent_id: z.string().optional(),
    }),
    z.object({ subtype: z.literal("mcp_message"), server_name: z.string(), message: z.unknown() }),
  ]),
});

/** Claude Code no longer waits for the response to one of its requests. */
const controlCancel = z.object({ type: z.literal("control_cancel_request"), request_id: z.string() });

const text = z.string().optional().catch(undefined);

const controlResponse = z.object({
  type: z.literal("control_response"),
  response: z.object({
    subtype: z.enum(["success", "error"]),
    request_id: z.string(),
    error: z.string().optional(),
    response: z
      .looseObject({
        /** Of `initialize`: Claude Code's own process id, which may be that of a child of a wrapper. */
        pid: z.number().optional().catch(undefined),
        /** Of `get_settings`: all settings together, the files that they come from, and the errors in these. */
        effective: z
          .looseObject({
            model: text,
            env: z.object({ ANTHROPIC_MODEL: text }).optional().catch(undefined),
          })
          .optional()
          .catch(undefined),
        sources: z
          .array(z.object({ source: z.string() }))
          .optional()
          .catch(undefined),
        errors: z
          .array(z.object({ file: z.string().optional() }))
          .optional()
          .catch(undefined),
      })
      .optional()
      .catch(undefined),
  }),
});

const schemas = {
  stream_event: streamEvent,
  assistant,
  user,
  result,
  command_lifecycle: lifecycle,
  system,
  rate_limit_event: rateLimitEvent,
  control_request: controlRequest,
  control_cancel_request: controlCancel,
  control_response: controlResponse,
};

export type StreamLine = z.infer<(typeof schemas)[keyof typeof schemas]>;
export type StreamEventLine = z.infer<typeof streamEvent>;
export type AssistantLine = z.infer<typeof assistant>;
export type ControlRequest = z.infer<typeof controlRequest>;
export type ControlResponse = z.infer<typeof controlResponse>;

/** A line holds what a tool has read from a file, or an image: it has no limit but that of the reader. */
const BOUNDS = { ...JSON_BOUNDS, stringBytes: Number.POSITIVE_INFINITY };

/** A text of as many characters cannot do harm, whatever it contains: it is not checked against the bounds. */
const SHORT = 1_000;

/**
 * A request that synthesis does not serve, for example an MCP server's question to the user, or one that exceeds a bound
 * of `json-gate.ts`. It needs a response, or Claude Code would wait for one.
 */
export interface RefusedRequest {
  readonly type: "refused_request";
  readonly id: string;
  readonly why: string;
}

/** Reads one line. @returns null for a line that synthesis does not read, and for plain text */
export function parseLine(text: string): StreamLine | RefusedRequest | null {
  let value: unknown;
  try {
    value = text.length <= SHORT ? JSON.parse(text) : parseJson(text, BOUNDS);
  } catch (error) {
    // A warning in plain text.
    if (!(error instanceof JsonRejected)) return null;
    if (isResult(text)) return unreadResult(text);
    // Claude Code writes these two fields first.
    const id = /^\{"type":"control_request","request_id":"([^"]+)"/.exec(text.slice(0, 200))?.[1];
    return id ? { type: "refused_request", id, why: error.message } : null;
  }
  const { type, request_id: id } = (value ?? {}) as { type?: unknown; request_id?: unknown };
  if (typeof type !== "string" || !Object.hasOwn(schemas, type)) return null;
  const read = schemas[type as keyof typeof schemas].safeParse(value);
  if (read.success) return read.data;
  return type === "control_request" && typeof id === "string"
    ? { type: "refused_request", id, why: "is not supported" }
    : null;
}

/** Claude Code writes the type of every other long line first. */
const isResult = (text: string): boolean =>
  text.startsWith('{"type":"result"') || (!text.startsWith('{"type":') && text.includes('"type":"result"'));

/** The end of a turn whose result exceeds a bound, for example by the inputs of denied tools that it lists. */
function unreadResult(text: string): StreamLine {
  const ids = /"user_message_uuids":\[([^\]]*)\]/.exec(text)?.[1] ?? "";
  const user_message_uuids = ids.split(",").map((id) => id.replaceAll('"', ""));
  return { type: "result", is_error: false, user_message_uuids };
}

/** A control request for Claude Code. */
export const controlRequestLine = (id: string, request: object): string =>
  JSON.stringify({ type: "control_request", request_id: id, request });

/** The response to a control request of Claude Code's. */
export const controlResponseLine = (id: string, response: object): string =>
  JSON.stringify({ type: "control_response", response: { subtype: "success", request_id: id, response } });

/** The response to a control request that cannot be handled. */
export const controlErrorLine = (id: string, error: string): string =>
  JSON.stringify({ type: "control_response", response: { subtype: "error", request_id: id, error } });

/** Attribute values of a channel tag. */
const escapeAttribute = (value: string): string =>
  value.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;").replaceAll("\n", " ");

/**
 * A message in the form in which a channel delivers it, so that a Claude session reads the same whichever way it was
 * run, and so that the message is found in the transcript by its id.
 * @param meta the attributes of the tag; `message_id` comes first, so that no later value can be taken for it
 */
export function channelMessage(source: string, meta: Readonly<Record<string, string>>, content: string): string {
  const attributes = Object.entries(meta).map(([name, value]) => ` ${name}="${escapeAttribute(value)}"`);
  const safe = content.replaceAll(/<\/channel(?=[\s>])/gi, "&lt;/channel");
  return `<channel source="${source}"${attributes.join("")}>\n${safe}\n</channel>`;
}

/** The line that adds a turn to the dialogue. Claude does not answer it, and Claude Code reports a result. */
export const pastTurnLine = ({ role, content }: DialogueTurn): string =>
  JSON.stringify(
    role === "assistant"
      ? { type: "assistant", message: { role, content } }
      : { type: "user", client_composed: true, shouldQuery: false, message: { role, content } },
  );

/**
 * The line that sends a message.
 * @param id a uuid; Claude Code reports under it when the turn starts and ends
 */
export const userMessageLine = (id: string, content: MessageContent): string =>
  JSON.stringify({
    type: "user",
    uuid: id,
    // Otherwise Claude Code would run a leading `/command` and read an `@file`.
    client_composed: true,
    parent_tool_use_id: null,
    message: { role: "user", content },
  });
