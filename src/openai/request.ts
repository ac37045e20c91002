/**
 * A `POST /v1/chat/completions` body, as far as synthesis reads it. Fields it does not know are let
 * through: clients of this API send many that do not apply to a claude.
 */
import { z } from "zod";
import { ApiError } from "./errors.ts";

const part = z.looseObject({ type: z.string(), text: z.string().optional() });
const message = z.looseObject({
  role: z.enum(["system", "developer", "user", "assistant", "tool", "function"]),
  content: z.union([z.string(), z.array(part)]).nullish(),
});

export const chatRequest = z.looseObject({
  model: z.string().nullish(),
  messages: z.array(message).min(1, "at least one message is needed"),
  /** Absent means false, as OpenAI has it. */
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  n: z.literal(1, "only one answer can be given, n must be 1").nullish(),
  user: z.string().nullish(),
});

export type ChatRequest = z.infer<typeof chatRequest>;

/** The request's error for a body that does not fit, with the field's path as `param`. */
export function invalidRequest(error: z.core.$ZodError): ApiError {
  const issue = error.issues[0];
  const param = issue?.path.reduce<string>(
    (path, key) => (typeof key === "number" ? `${path}[${key}]` : path ? `${path}.${String(key)}` : String(key)),
    "",
  );
  return new ApiError("invalid_request", param ? `${param}: ${issue?.message}` : `${issue?.message}`, param || null);
}

/**
 * What the user says with this request: the text of every user message behind the last assistant
 * message. What came before is already in claude's own conversation.
 * @throws ApiError (400) when there is no text, or something that is not text
 */
export function newUserText(request: ChatRequest): string {
  const start = request.messages.findLastIndex(({ role }) => role === "assistant") + 1;
  const texts: string[] = [];
  request.messages.forEach(({ role, content }, index) => {
    if (index < start || role !== "user") return;
    if (typeof content === "string") texts.push(content);
    else texts.push(partsText(content ?? [], `messages[${index}].content`));
  });
  const text = texts.filter((one) => one.trim() !== "").join("\n\n");
  if (text === "") {
    throw new ApiError(
      "invalid_request",
      "There is no new user text: the last message must be a user message with text in it.",
      "messages",
    );
  }
  return text;
}

function partsText(parts: readonly z.infer<typeof part>[], path: string): string {
  return parts
    .map(({ type, text }, index) => {
      if (type === "text" && text !== undefined) return text;
      throw new ApiError("invalid_request", `Only text parts are understood, not ${type}.`, `${path}[${index}]`);
    })
    .join("\n");
}
