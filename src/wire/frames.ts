/**
 * The frames on `/bridge`, the WebSocket between the server and the channel plugin inside a claude.
 * JSON text, one object a frame. Both ends read them with these schemas.
 */
import { z } from "zod";
import { JSON_BOUNDS, type JsonBounds, JsonGate, JsonRefused, parseJson } from "../core/json-gate.ts";

export const PROTOCOL = 1;
/** A larger frame closes the connection (`TOO_LARGE`). */
export const MAX_FRAME_BYTES = 1024 * 1024;

/** Close codes of `/bridge`. */
export const CLOSE = {
  EXPECTED_HELLO: 4001,
  REPLACED: 4002,
  NOT_AUTHORIZED: 4003,
  PROTOCOL: 4004,
  TOO_LARGE: 4005,
  /** The handler of a frame has failed; it is the standard code for an internal error. */
  FAILED: 1011,
} as const;

const ping = z.strictObject({ type: z.literal("ping") });
const pong = z.strictObject({ type: z.literal("pong") });

const hello = z.strictObject({
  type: z.literal("hello"),
  /** Absent in the first plugins, whose protocol was 1. */
  protocol: z.number().int().min(1).default(1),
  /** claude's process id, by which its own session file is found. Whose socket this is, the token says. */
  pid: z.number().int(),
  openclaw_session: z.string(),
  claude_session: z.string(),
  plugin_version: z.string(),
});

/**
 * Which text is the answer: `live`, what claude writes, as it writes it; `tool`, what it sends with the
 * reply tool.
 */
export const REPLY_MODES = ["live", "tool"] as const;
export type ReplyMode = (typeof REPLY_MODES)[number];

const tool = z.strictObject({
  name: z.string(),
  description: z.string(),
  inputSchema: z.record(z.string(), z.unknown()).readonly(),
});
export type ToolDefinition = z.infer<typeof tool>;

const helloAck = z.strictObject({
  type: z.literal("hello_ack"),
  protocol: z.number().int(),
  mode: z.enum(REPLY_MODES),
  /** What the plugin offers to claude besides its own. */
  tools: z.array(tool).readonly(),
});

/** The catalogue has changed: claude is to be told of it. Answered by `tools_listed` with the same revision. */
const tools = z.strictObject({ type: z.literal("tools"), revision: z.number().int(), tools: z.array(tool).readonly() });
/** claude has asked for the list and got this one. */
const toolsListed = z.strictObject({ type: z.literal("tools_listed"), revision: z.number().int() });

/** claude calls a tool of the catalogue. Sent again after a dropped socket, until its result is there. */
const toolCall = z.strictObject({
  type: z.literal("tool_call"),
  /** claude's own id of the call, the `tool_use_id` of its hooks. */
  id: z.string().min(1),
  name: z.string(),
  arguments: z.record(z.string(), z.unknown()),
});
/** claude does not wait for the result any more. */
const toolCancel = z.strictObject({ type: z.literal("tool_cancel"), id: z.string() });
const toolContent = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("text"), text: z.string() }),
  /** `data` in base64 */
  z.strictObject({ type: z.literal("image"), data: z.string(), mimeType: z.string() }),
]);
/** The first one with an id counts. */
const toolResult = z.strictObject({
  type: z.literal("tool_result"),
  id: z.string(),
  content: z.array(toolContent).readonly(),
  is_error: z.boolean(),
});

const reply = z.strictObject({
  type: z.literal("reply"),
  /** Answered by a `reply_ack` with the same id; the tool call returns after it, so `Stop` cannot overtake it. */
  id: z.string().optional(),
  content: z.string(),
  /** False for what is said on the way; absent means true, as in the first plugins. */
  final: z.boolean().default(true),
});

const replyAck = z.strictObject({ type: z.literal("reply_ack"), id: z.string() });

const inbound = z.strictObject({
  type: z.literal("inbound"),
  content: z.string(),
  /** claude never took this message: pass it on once more. Without it a message_id is passed on once only. */
  again: z.literal(true).optional(),
  /** claude shows these as attributes of the channel tag, in their order. */
  meta: z
    .strictObject({
      /** First, so that nothing in what follows can be taken for it. */
      message_id: z.string().min(1),
      chat_id: z.string().optional(),
      /** ISO 8601 */
      ts: z.string().optional(),
    })
    // Paths of files that came with the message. claude takes keys of letters, digits and `_` only.
    .catchall(z.string())
    .refine((meta) => Object.keys(meta).every((key) => /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(key)), "not an attribute"),
});

/** What the plugin sends. */
export const pluginFrame = z.discriminatedUnion("type", [hello, reply, toolsListed, toolCall, toolCancel, ping, pong]);
/** What the server sends. */
export const serverFrame = z.discriminatedUnion("type", [helloAck, inbound, replyAck, tools, toolResult, ping, pong]);

export type PluginFrame = z.infer<typeof pluginFrame>;
export type ServerFrame = z.infer<typeof serverFrame>;
export type Inbound = z.infer<typeof inbound>;
export type ReplyFrame = z.infer<typeof reply>;
export type ToolCallFrame = z.infer<typeof toolCall>;
export type ToolResultFrame = z.infer<typeof toolResult>;
export type ToolsFrame = z.infer<typeof tools>;
export type ToolContent = z.infer<typeof toolContent>;

/** The first faults of a frame are enough to find the cause. */
const FAULTS_NAMED = 5;

/**
 * Our own server has checked what its frames hold. They are deeper than what the client sent by what a tool's schema is
 * wrapped in, and hold all the tools that were ever offered.
 */
const SERVER_BOUNDS: JsonBounds = {
  ...JSON_BOUNDS,
  depth: JSON_BOUNDS.depth + 10,
  values: JSON_BOUNDS.values * 10,
  names: JSON_BOUNDS.names * 10,
  escapes: JSON_BOUNDS.escapes * 10,
  stringBytes: Number.POSITIVE_INFINITY,
};

/**
 * Reads one frame.
 * @returns the frame, or what is wrong with it (never its text: it may hold the user's words)
 */
export function readFrame<S extends typeof pluginFrame | typeof serverFrame>(
  schema: S,
  text: string,
): { frame: z.infer<S> } | { wrong: string } {
  let value: unknown;
  try {
    value = parseJson(text, schema === serverFrame ? SERVER_BOUNDS : JSON_BOUNDS);
  } catch (error) {
    // JSON.parse quotes the text in its message.
    return { wrong: error instanceof JsonRefused ? error.message : "not JSON" };
  }
  const result = schema.safeParse(value);
  if (result.success) return { frame: result.data as z.infer<S> };
  const faults = result.error.issues.slice(0, FAULTS_NAMED);
  return { wrong: faults.map((issue) => `${issue.path.join(".") || "frame"}: ${issue.code}`).join(", ") };
}

/**
 * Why the server would not take a frame: it is too large, too deep, or goes beyond another bound of `json-gate.ts`.
 * @returns null when it would
 */
export function refusalOf(frame: PluginFrame): string | null {
  try {
    const bytes = Buffer.from(writeFrame(frame));
    if (bytes.length > MAX_FRAME_BYTES) return "is too long. Send less at once.";
    new JsonGate().write(bytes);
    return null;
  } catch (error) {
    if (error instanceof JsonRefused) return error.message;
    // JSON.stringify cannot write a value that is nested tens of thousands of levels deep.
    if (error instanceof RangeError) return "is nested too deep. Send it flatter.";
    throw error;
  }
}

export const writeFrame = (frame: PluginFrame | ServerFrame): string => JSON.stringify(frame);
