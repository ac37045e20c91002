/**
 * The frames on `/bridge`, the WebSocket between the server and the channel plugin in a Claude Code process. Each frame
 * is one JSON object. Both ends validate the frames with these schemas.
 */
import { z } from "zod";
import { JSON_BOUNDS, type JsonBounds, JsonGate, JsonRejected, parseJson } from "../core/json-gate.ts";

export const PROTOCOL = 1;
/** The receiver closes the connection with `TOO_LARGE` when a frame is larger. */
export const MAX_FRAME_BYTES = 1024 * 1024;

/** The close codes of `/bridge`. */
export const CLOSE = {
  EXPECTED_HELLO: 4001,
  REPLACED: 4002,
  NOT_AUTHORIZED: 4003,
  PROTOCOL: 4004,
  TOO_LARGE: 4005,
  /** The handler of a frame threw an error. This is the standard code for an internal error. */
  FAILED: 1011,
} as const;

const ping = z.strictObject({ type: z.literal("ping") });
const pong = z.strictObject({ type: z.literal("pong") });

const hello = z.strictObject({
  type: z.literal("hello"),
  /** Absent in the first plugins, which use protocol 1. */
  protocol: z.number().int().min(1).default(1),
  /** The process id of Claude Code, which names its session file. The token says which process the plugin belongs to. */
  pid: z.number().int(),
  openclaw_session: z.string(),
  claude_session: z.string(),
  plugin_version: z.string(),
});

/** Which text is the answer: in `live` mode all that Claude writes, in `tool` mode what it sends with the reply tool. */
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
  /** The client's tools, which the plugin offers to Claude besides its own tools. */
  tools: z.array(tool).readonly(),
});

/** The client's tools have changed. The plugin notifies Claude Code, which then requests the list. */
const tools = z.strictObject({ type: z.literal("tools"), revision: z.number().int(), tools: z.array(tool).readonly() });
/** Claude Code has requested the list of tools and received this revision. */
const toolsListed = z.strictObject({ type: z.literal("tools_listed"), revision: z.number().int() });

/** Claude calls a tool of the client. The plugin repeats the frame on a new connection until it has the result. */
const toolCall = z.strictObject({
  type: z.literal("tool_call"),
  /** Claude's id of the call, which is the `tool_use_id` in its hooks. */
  id: z.string().min(1),
  name: z.string(),
  arguments: z.record(z.string(), z.unknown()),
});
/** Claude no longer waits for the result. */
const toolCancel = z.strictObject({ type: z.literal("tool_cancel"), id: z.string() });
const toolContent = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("text"), text: z.string() }),
  /** `data` is base64. */
  z.strictObject({ type: z.literal("image"), data: z.string(), mimeType: z.string() }),
]);
/** The result of a tool call. The plugin ignores a second result with the same id. */
const toolResult = z.strictObject({
  type: z.literal("tool_result"),
  id: z.string(),
  content: z.array(toolContent).readonly(),
  is_error: z.boolean(),
});

const reply = z.strictObject({
  type: z.literal("reply"),
  /** The server answers with a `reply_ack` of the same id. The tool call returns only then, so `Stop` cannot come first. */
  id: z.string().optional(),
  content: z.string(),
  /** False for a partial reply. Absent in the first plugins, which means true. */
  final: z.boolean().default(true),
});

const replyAck = z.strictObject({ type: z.literal("reply_ack"), id: z.string() });

const inbound = z.strictObject({
  type: z.literal("inbound"),
  content: z.string(),
  /** The message was sent before, and Claude never received it. Without this the plugin ignores a repeated message_id. */
  again: z.literal(true).optional(),
  /** Claude Code shows these as attributes of the channel tag, in this order. */
  meta: z
    .strictObject({
      /** The first attribute, so that no value of another attribute can be mistaken for it. */
      message_id: z.string().min(1),
      chat_id: z.string().optional(),
      /** ISO 8601 */
      ts: z.string().optional(),
    })
    // The paths of attached files. Claude Code accepts only letters, digits and `_` in keys.
    .catchall(z.string())
    .refine(
      (meta) => Object.keys(meta).every((key) => /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(key)),
      "has an invalid attribute name",
    ),
});

/** A frame that the plugin sends. */
export const pluginFrame = z.discriminatedUnion("type", [hello, reply, toolsListed, toolCall, toolCancel, ping, pong]);
/** A frame that the server sends. */
export const serverFrame = z.discriminatedUnion("type", [helloAck, inbound, replyAck, tools, toolResult, ping, pong]);

export type PluginFrame = z.infer<typeof pluginFrame>;
export type ServerFrame = z.infer<typeof serverFrame>;
export type Inbound = z.infer<typeof inbound>;
export type ReplyFrame = z.infer<typeof reply>;
export type ToolCallFrame = z.infer<typeof toolCall>;
export type ToolResultFrame = z.infer<typeof toolResult>;
export type ToolsFrame = z.infer<typeof tools>;
export type ToolContent = z.infer<typeof toolContent>;

/** The first issues of a frame are enough to find the cause. */
const MAX_ISSUES = 5;

/**
 * The bounds of frames from our own server, which has checked their content already. They may exceed the bounds of a
 * request: they wrap tool schemas more deeply, and hold all tools that were offered so far.
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
 * Parses one frame.
 * @returns the frame, or its problem, which does not quote the text, because that may hold messages of the user
 */
export function readFrame<S extends typeof pluginFrame | typeof serverFrame>(
  schema: S,
  text: string,
): { frame: z.infer<S> } | { problem: string } {
  let value: unknown;
  try {
    value = parseJson(text, schema === serverFrame ? SERVER_BOUNDS : JSON_BOUNDS);
  } catch (error) {
    // The message of JSON.parse is dropped, since it quotes the text.
    return { problem: error instanceof JsonRejected ? error.message : "not valid JSON" };
  }
  const result = schema.safeParse(value);
  if (result.success) return { frame: result.data as z.infer<S> };
  const issues = result.error.issues.slice(0, MAX_ISSUES);
  return { problem: issues.map((issue) => `${issue.path.join(".") || "frame"}: ${issue.code}`).join(", ") };
}

/**
 * Why the server would reject a frame: it is too large, or exceeds another bound of `json-gate.ts`.
 * @returns a predicate with advice, such as "is too long. Send less at once."; null if the server would accept the frame
 */
export function frameRejection(frame: PluginFrame): string | null {
  try {
    const bytes = Buffer.from(writeFrame(frame));
    if (bytes.length > MAX_FRAME_BYTES) return "is too long. Send less at once.";
    new JsonGate().write(bytes);
    return null;
  } catch (error) {
    if (error instanceof JsonRejected) return error.message;
    // JSON.stringify cannot write a value that is nested tens of thousands of levels deep.
    if (error instanceof RangeError) return "is nested too deeply. Send a flatter structure.";
    throw error;
  }
}

export const writeFrame = (frame: PluginFrame | ServerFrame): string => JSON.stringify(frame);
