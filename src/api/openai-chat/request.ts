/**
 * The body of `POST /v1/chat/completions`, as far as synthesis reads it. Unknown fields are allowed: clients send many
 * that do not apply to Claude Code. A message in the schema continues the sentence that the field's name begins
 * (`invalid-request.ts`).
 */
import { z } from "zod";
import { withSpeaker } from "../../core/quoting.ts";

const part = z.looseObject({ type: z.string(), text: z.string().optional() });
/** A field that is read only in past messages (`past-message.ts`). An unknown shape is ignored rather than refused. */
const lenient = z.unknown().optional();
const message = z.looseObject({
  role: z.enum(["system", "developer", "user", "assistant", "tool", "function"]),
  content: z.union([z.string(), z.array(part)], "must be a string or an array of parts").nullish(),
  /** The name of the person, in a chat of several; in a result, the name of the tool. */
  name: z.string().nullish().catch(null),
  tool_calls: z.array(lenient).nullish().catch(null),
  /** The call of an answer in the API before `tool_calls`. */
  function_call: lenient,
  refusal: lenient,
  audio: lenient,
  tool_call_id: z.string().nullish(),
  /** Not part of OpenAI's API, but the only way for a client to say that a tool has failed. */
  is_error: z.boolean().nullish().catch(null),
});

const functionTool = z.looseObject({
  name: z.string().min(1),
  description: z.string().nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
});
const tool = z
  .looseObject({ type: z.string(), function: functionTool.optional() })
  .refine(({ type, function: definition }) => type !== "function" || definition !== undefined, {
    error: "is missing; it must be an object with the function's name and parameters",
    path: ["function"],
  });
const namedTool = z.looseObject({ function: z.looseObject({ name: z.string() }).optional() });
const toolChoice = z.union(
  [
    z.enum(["none", "auto", "required"]),
    z
      .looseObject({
        type: z.enum(["function", "allowed_tools"], "must be function or allowed_tools"),
        function: z.looseObject({ name: z.string() }).optional(),
        allowed_tools: z.looseObject({ mode: z.string(), tools: z.array(namedTool) }).optional(),
      })
      .refine((choice) => choice[choice.type] !== undefined, {
        error: "names a field that is missing",
        path: ["type"],
      }),
  ],
  "must be none, auto, required, or an object that names a tool",
);

const functionChoice = z.union(
  [z.enum(["none", "auto"]), z.looseObject({ name: z.string() })],
  "must be none, auto, or an object that names a function",
);

/** The efforts of OpenAI's API, and `max` of Claude Code's. */
export const REASONING_EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"] as const;

export const chatRequest = z.looseObject({
  model: z.string().nullish(),
  messages: z.array(message).min(1, "must have at least one message"),
  /** Absent means false, as in OpenAI's API. */
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  n: z.literal(1, "must be 1: only one answer per request is supported").nullish(),
  modalities: z.array(z.literal("text", "must be text: no other modality is supported")).nullish(),
  audio: z.null("must be left out: only text answers are supported").optional(),
  tools: z.array(tool).nullish(),
  tool_choice: toolChoice.nullish(),
  /** The API before `tools`. `legacy-functions.ts` reads both fields as tools. */
  functions: z.array(functionTool).nullish(),
  function_call: functionChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  reasoning_effort: z.enum(REASONING_EFFORTS).nullish(),
  user: z.string().nullish(),
  /** Only a hint: a value of another type counts as absent. */
  prompt_cache_key: z.string().nullish().catch(null),
});

export type ChatRequest = z.infer<typeof chatRequest>;
export type ChatMessage = ChatRequest["messages"][number];
export type ContentPart = z.infer<typeof part>;

/** The text of a message. Parts without text are left out. */
export function messageText({ content }: ChatMessage): string {
  if (typeof content === "string") return content;
  return (content ?? []).flatMap(({ text }) => (text === undefined ? [] : [text])).join("\n");
}

/** The text of all system and developer messages, with a blank line between two. */
export function systemText({ messages }: ChatRequest): string {
  return messages
    .filter(({ role }) => role === "system" || role === "developer")
    .map((message) => withSpeaker(speakerOf(message), messageText(message)))
    .filter((text) => text.trim() !== "")
    .join("\n\n");
}

/** In characters. OpenAI allows 64. */
const MAX_NAME_LENGTH = 64;

/**
 * The name of the person or agent who wrote a message, on one line; null when there is none. Some clients give every
 * message a name that says no more than its role: `user`, and `assistant` or, as LangGraph does, `model`.
 */
export function speakerOf({ name, role }: ChatMessage): string | null {
  const speaker = (name ?? "").slice(0, MAX_NAME_LENGTH).replace(/\s+/g, " ").trim();
  const lower = speaker.toLowerCase();
  return lower === "" || lower === role || (role === "assistant" && lower === "model") ? null : speaker;
}
