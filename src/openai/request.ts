/**
 * A `POST /v1/chat/completions` body, as far as synthesis reads it. Fields it does not know are let
 * through: clients of this API send many that do not apply to a claude.
 */
import { z } from "zod";
import { ApiError } from "./errors.ts";

const part = z.looseObject({ type: z.string(), text: z.string().optional() });
const toolCall = z.looseObject({
  id: z.string().optional(),
  function: z.looseObject({ name: z.string().optional() }).optional(),
});
const message = z.looseObject({
  role: z.enum(["system", "developer", "user", "assistant", "tool", "function"]),
  content: z.union([z.string(), z.array(part)]).nullish(),
  /** Of a past answer: only its names are ever read, so a strange one is no reason to refuse the request. */
  tool_calls: z.array(toolCall).nullish().catch(null),
  tool_call_id: z.string().nullish(),
  /** Not OpenAI's, but the one way to say that a tool has failed. */
  is_error: z.boolean().nullish().catch(null),
});

const tool = z.looseObject({
  type: z.string(),
  function: z
    .looseObject({
      name: z.string().min(1),
      description: z.string().nullish(),
      parameters: z.record(z.string(), z.unknown()).nullish(),
    })
    .optional(),
});
const namedTool = z.looseObject({ function: z.looseObject({ name: z.string() }).optional() });
const toolChoice = z.union(
  [
    z.enum(["none", "auto", "required"]),
    z.looseObject({
      type: z.string(),
      function: z.looseObject({ name: z.string() }).optional(),
      allowed_tools: z.looseObject({ mode: z.string(), tools: z.array(namedTool) }).optional(),
    }),
  ],
  "one of none, auto, required, or a tool",
);

/** OpenAI's, and claude's `max`. */
const REASONING_EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"] as const;
export type ReasoningEffort = (typeof REASONING_EFFORTS)[number];

export const chatRequest = z.looseObject({
  model: z.string().nullish(),
  messages: z.array(message).min(1, "at least one message is needed"),
  /** Absent means false, as OpenAI has it. */
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  n: z.literal(1, "only one answer can be given, n must be 1").nullish(),
  modalities: z.array(z.literal("text", "only text can be answered")).nullish(),
  audio: z.null("only text can be answered").optional(),
  tools: z.array(tool).nullish(),
  tool_choice: toolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  reasoning_effort: z.enum(REASONING_EFFORTS).nullish(),
  user: z.string().nullish(),
  /** A hint only: what is not text is as good as absent. */
  prompt_cache_key: z.string().nullish().catch(null),
});

export type ChatRequest = z.infer<typeof chatRequest>;
export type ChatMessage = ChatRequest["messages"][number];
export type ContentPart = z.infer<typeof part>;

/** The request's error for a body that does not fit, with the field's path as `param`. */
export function invalidRequest(error: z.core.$ZodError): ApiError {
  const issue = error.issues[0];
  const param = issue?.path.reduce<string>(
    (path, key) => (typeof key === "number" ? `${path}[${key}]` : path ? `${path}.${String(key)}` : String(key)),
    "",
  );
  return new ApiError("invalid_request", param ? `${param}: ${issue?.message}` : `${issue?.message}`, param || null);
}

/** The text of a message; what is not text is left out. */
export function messageText({ content }: ChatMessage): string {
  if (typeof content === "string") return content;
  return (content ?? []).flatMap(({ text }) => (text === undefined ? [] : [text])).join("\n");
}

/** The system and developer messages, a blank line between two. */
export function systemText({ messages }: ChatRequest): string {
  return messages
    .filter(({ role }) => role === "system" || role === "developer")
    .map(messageText)
    .filter((text) => text.trim() !== "")
    .join("\n\n");
}
