/**
 * The body of `POST /v1/responses`, as far as synthesis reads it. Unknown fields are allowed. A message in the schema
 * continues the sentence that the field's name begins (`openai-chat/invalid-request.ts`).
 */
import { z } from "zod";
import { REASONING_EFFORTS } from "../openai-chat/request.ts";

/** A field that is read only in past items. An unknown shape is ignored rather than refused. */
const lenient = z.unknown().optional();
const part = z.looseObject({ type: z.string(), text: z.string().optional() });
const content = z.union([z.string(), z.array(part)], "must be a string or an array of parts");

/** What a client said or received earlier, or says now. Which fields an item needs depends on its type. */
const item = z
  .looseObject({
    /** A message may leave it out. */
    type: z.string().optional(),
    id: z.string().nullish().catch(null),
    role: z.enum(["user", "assistant", "system", "developer"]).optional(),
    content: content.nullish(),
    call_id: z.string().nullish(),
    name: z.string().nullish().catch(null),
    namespace: z.string().nullish().catch(null),
    arguments: lenient,
    input: lenient,
    output: z.union([z.string(), z.array(part)], "must be a string or an array of parts").nullish(),
    /** Not part of OpenAI's API for calls of functions, but its SDKs send it. */
    status: lenient,
  })
  .refine(({ type, role }) => type !== undefined || role !== undefined, {
    error: "is missing; it must be the type of the item",
    path: ["type"],
  })
  .refine(({ type, role }) => (type ?? "message") !== "message" || role !== undefined, {
    error: "is missing; it must be one of user, assistant, system, developer",
    path: ["role"],
  });

const toolFields = z.looseObject({
  type: z.string(),
  name: z.string().min(1).optional(),
  description: z.string().nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
  format: lenient,
});
const isNamed = ({ type, name }: z.infer<typeof toolFields>): boolean =>
  !["function", "custom", "namespace"].includes(type) || name !== undefined;
const nameMissing = { error: "is missing; it must be a string", path: ["name"] };

const tool = toolFields
  /** Those of a `namespace`. */
  .extend({ tools: z.array(toolFields.refine(isNamed, nameMissing)).optional() })
  .refine(isNamed, nameMissing);

const toolChoice = z.union(
  [
    z.enum(["none", "auto", "required"]),
    z.looseObject({
      type: z.string(),
      name: z.string().optional(),
      mode: z.string().optional(),
      tools: z.array(z.looseObject({ type: z.string().optional(), name: z.string().optional() })).optional(),
    }),
  ],
  "must be none, auto, required, or an object that names a tool",
);

export const responsesRequest = z.looseObject({
  model: z.string().nullish(),
  input: z.union([z.string(), z.array(item)], "must be a string or an array of items").nullish(),
  instructions: z.string().nullish(),
  previous_response_id: z.string().nullish(),
  conversation: z
    .union([z.string(), z.looseObject({ id: z.string() })], "must be an id, or an object that has an id")
    .nullish(),
  /** Absent means true, as in OpenAI's API. */
  store: z.boolean().nullish(),
  stream: z.boolean().nullish(),
  background: z
    .literal(false, "must be left out: an answer in the background would have to be stored, and no text is stored")
    .nullish(),
  prompt: z.null("must be left out: there are no stored prompts. Send the text as instructions").optional(),
  tools: z.array(tool).nullish(),
  tool_choice: toolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  reasoning: z.looseObject({ effort: z.enum(REASONING_EFFORTS).nullish() }).nullish(),
  text: z.looseObject({ format: z.looseObject({ type: z.string() }).nullish() }).nullish(),
  user: z.string().nullish(),
  /** Only a hint: a value of another type counts as absent. */
  prompt_cache_key: z.string().nullish().catch(null),
  /** These are only shown in the response again. */
  safety_identifier: z.string().nullish().catch(null),
  metadata: z.record(z.string(), z.string()).nullish().catch(null),
  truncation: z.enum(["auto", "disabled"]).nullish().catch(null),
  max_output_tokens: z.number().nullish().catch(null),
  temperature: z.number().nullish().catch(null),
  top_p: z.number().nullish().catch(null),
});

export type ResponsesRequest = z.infer<typeof responsesRequest>;
export type InputItem = z.infer<typeof item>;
export type ResponsesTool = z.infer<typeof tool>;
