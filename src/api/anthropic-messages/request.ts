/**
 * The body of `POST /v1/messages`, as far as synthesis reads it. Unknown fields are allowed. A message in the schema
 * continues the sentence that the field's name begins (`openai-chat/invalid-request.ts`).
 */
import { z } from "zod";
import { REASONING_EFFORTS } from "../openai-chat/request.ts";

/** A field that is read only in some blocks. An unknown shape is ignored rather than refused. */
const lenient = z.unknown().optional();

const source = z.looseObject({
  type: z.string(),
  media_type: z.string().nullish().catch(null),
  data: z.string().optional(),
  url: z.string().optional(),
  content: lenient,
});

const inner = z.looseObject({ type: z.string(), text: z.string().optional(), source: source.optional() });
const block = inner
  .extend({
    /** Of a document: its name. */
    title: z.string().nullish().catch(null),
    /** Of a `tool_use`. */
    id: z.string().optional(),
    name: z.string().optional(),
    input: lenient,
    /** Of a `tool_result`. */
    tool_use_id: z.string().optional(),
    is_error: z.boolean().nullish().catch(null),
    content: z
      .union([z.string(), z.array(inner)])
      .nullish()
      .catch(null),
  })
  .refine(({ type, id, name }) => type !== "tool_use" || (id !== undefined && name !== undefined), {
    error: "is missing; a tool_use has an id and a name",
    path: ["id"],
  })
  .refine(({ type, tool_use_id: id }) => type !== "tool_result" || id !== undefined, {
    error: "is missing; it must be the id of the tool_use",
    path: ["tool_use_id"],
  });

/** What a document contains that consists of blocks. It is read apart, since a block may be such a document, too. */
export const documentContent = z.union([z.string(), z.array(inner)]);

const content = z.union([z.string(), z.array(block)], "must be a string or an array of blocks");

const message = z.looseObject({ role: z.enum(["user", "assistant", "system"]), content });

const tool = z
  .looseObject({
    /** Absent, or `custom`, for a tool of the client. */
    type: z.string().nullish(),
    name: z.string().min(1).optional(),
    description: z.string().nullish(),
    input_schema: z.record(z.string(), z.unknown()).nullish(),
  })
  .refine(({ type, name }) => (type ?? "custom") !== "custom" || name !== undefined, {
    error: "is missing; it must be a string",
    path: ["name"],
  });

const format = z.looseObject({ type: z.string(), schema: z.record(z.string(), z.unknown()).optional() });

export const messagesRequest = z.looseObject({
  model: z.string().nullish(),
  messages: z.array(message).min(1, "must have at least one message"),
  system: z.union([z.string(), z.array(inner)], "must be a string or an array of text blocks").nullish(),
  stream: z.boolean().nullish(),
  tools: z.array(tool).nullish(),
  tool_choice: z
    .looseObject({
      type: z.enum(["auto", "any", "tool", "none"]),
      name: z.string().optional(),
      disable_parallel_tool_use: z.boolean().nullish(),
    })
    .refine(({ type, name }) => type !== "tool" || name !== undefined, {
      error: "is missing; it must be the name of a tool",
      path: ["name"],
    })
    .nullish(),
  metadata: z.looseObject({ user_id: z.string().nullish() }).nullish(),
  /** Only whether the client expects thinking is read. How hard Claude thinks is `output_config.effort`. */
  thinking: z.looseObject({ type: z.string() }).nullish().catch(null),
  output_config: z.looseObject({ effort: z.enum(REASONING_EFFORTS).nullish(), format: format.nullish() }).nullish(),
});

export type MessagesRequest = z.infer<typeof messagesRequest>;
export type Message = MessagesRequest["messages"][number];
export type Block = z.infer<typeof block>;
export type InnerBlock = z.infer<typeof inner>;
export type MessagesTool = z.infer<typeof tool>;
