/**
 * What the routes of clients answer, as far as clients read it. The types of the official packages hold what is sent at
 * compile time; these schemas publish it.
 */
import { z } from "zod";

const call = z.looseObject({
  id: z.string(),
  type: z.literal("function"),
  function: z.looseObject({ name: z.string(), arguments: z.string() }),
});
const finishReason = z.enum(["stop", "length", "tool_calls", "function_call", "content_filter"]);

const usage = z
  .looseObject({
    prompt_tokens: z.int().describe("The input of the answer's last model call: how full the context is."),
    completion_tokens: z.int(),
    total_tokens: z.int(),
  })
  .describe("Absent where the figures are not known in time.");

const chatMessage = z.looseObject({
  role: z.literal("assistant"),
  content: z.string().nullable(),
  refusal: z.string().nullable().optional(),
  reasoning_content: z.string().optional().describe("What Claude has done, an addition of synthesis."),
  tool_calls: z.array(call).optional(),
});

export const chatCompletion = z.looseObject({
  id: z.string(),
  object: z.literal("chat.completion"),
  created: z.int(),
  model: z.string(),
  choices: z.array(z.looseObject({ index: z.int(), message: chatMessage, finish_reason: finishReason })),
  usage: usage.optional(),
});

export const chatCompletionChunk = z.looseObject({
  id: z.string(),
  object: z.literal("chat.completion.chunk"),
  created: z.int(),
  model: z.string(),
  choices: z.array(
    z.looseObject({
      index: z.int(),
      delta: z.looseObject({
        role: z.literal("assistant").optional(),
        content: z.string().nullable().optional(),
        reasoning_content: z.string().optional().describe("What Claude is doing, an addition of synthesis."),
        tool_calls: z.array(z.looseObject({ index: z.int() })).optional(),
      }),
      finish_reason: finishReason.nullable(),
    }),
  ),
  usage: usage.nullish(),
});

export const response = z.looseObject({
  id: z.string(),
  object: z.literal("response"),
  created_at: z.number(),
  status: z.enum(["completed", "failed", "in_progress", "cancelled", "incomplete"]),
  model: z.string(),
  output: z.array(z.looseObject({ type: z.string() })),
});

export const responseDeletion = z.object({ id: z.string(), object: z.literal("response"), deleted: z.literal(true) });

export const responseEvent = z.looseObject({ type: z.string(), sequence_number: z.int() });

const contentBlock = z.looseObject({
  type: z.enum(["text", "thinking", "tool_use"]),
  text: z.string().optional(),
  name: z.string().optional(),
  input: z.unknown().optional(),
});

export const message = z.looseObject({
  id: z.string(),
  type: z.literal("message"),
  role: z.literal("assistant"),
  model: z.string(),
  content: z.array(contentBlock),
  stop_reason: z.enum(["end_turn", "max_tokens", "tool_use", "refusal"]).nullable(),
  usage: z.looseObject({ input_tokens: z.int(), output_tokens: z.int() }),
});

export const messageEvent = z.looseObject({ type: z.string() });
export const tokenCount = z.object({ input_tokens: z.int() });

export const messagesError = z.looseObject({
  type: z.literal("error"),
  error: z.looseObject({
    type: z.string(),
    message: z.string(),
    code: z.string().describe("The same code as in the other APIs, an addition of synthesis."),
  }),
});

export const model = z.looseObject({
  id: z.string(),
  object: z.literal("model"),
  created: z.int(),
  owned_by: z.string(),
});
export const modelList = z.looseObject({ object: z.literal("list"), data: z.array(model) });

export const health = z.looseObject({
  ok: z.literal(true),
  version: z.string(),
  processes: z.int().describe("How many agent processes run."),
  conns: z.int().describe("How many plugins are connected."),
  login: z
    .enum(["ok", "expired", "unknown"])
    .describe("Whether Claude's login works, as far as is known. It is `unknown` before the first evidence."),
  engines: z.array(
    z.looseObject({ agent: z.string().nullable(), engine: z.enum(["interactive", "stream"]), reason: z.string() }),
  ),
  rejections: z.array(
    z.looseObject({ window: z.string(), models: z.array(z.string().nullable()), resets_at: z.number() }),
  ),
});

export const readiness = z.looseObject({
  ready: z.boolean(),
  reason: z.string().optional().describe("The error code of a message that would start a conversation now."),
});

export const verdict = z.object({ id: z.string(), behavior: z.enum(["allow", "deny"]) });
export const removal = z.object({ key: z.string(), deleted: z.literal(true) });

export const openApi = z.looseObject({ openapi: z.literal("3.1.0") });
