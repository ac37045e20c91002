/** The `response_format` of a request. */
import { z } from "zod";
import { RequestError } from "../../core/errors.ts";
import type { JsonSchema } from "../../core/tools.ts";
import type { ChatRequest } from "./request.ts";

/** With `json` the answer must fit `schema`; null when any JSON object will do. */
export type AnswerFormat = { readonly type: "text" } | { readonly type: "json"; readonly schema: JsonSchema | null };

const options = z.looseObject({
  response_format: z
    .looseObject({
      type: z.string(),
      json_schema: z.looseObject({ schema: z.record(z.string(), z.unknown()).nullish() }).nullish(),
    })
    .nullish(),
});

/** The format in which the client wants the answer. @throws RequestError (`invalid_request`) for an unknown form */
export function readFormat(body: ChatRequest): AnswerFormat {
  const read = options.safeParse(body);
  if (!read.success) {
    throw new RequestError(
      "invalid_request",
      "response_format must be an object whose type is text, json_object or json_schema.",
      { param: "response_format" },
    );
  }
  const { response_format: wanted } = read.data;
  if (wanted?.type !== "json_schema" && wanted?.type !== "json_object") return { type: "text" };
  return { type: "json", schema: wanted.json_schema?.schema ?? null };
}

/** The instruction that asks for a format, for where Claude Code does not enforce it; null for plain text. */
export function formatNote(format: AnswerFormat): string | null {
  if (format.type === "text") return null;
  const only = (what: string) =>
    `Answer with a single JSON ${what} and nothing else: no words around it, no code fence.`;
  if (!format.schema) return only("object");
  return `${only("value")} It fits this JSON schema: ${JSON.stringify(format.schema)}`;
}

/**
 * The instruction for an answer of which Claude Code enforces a simpler schema; null when that is the client's own.
 * @param enforced the simpler schema
 */
export function schemaNote(format: AnswerFormat, enforced: JsonSchema): string | null {
  if (format.type === "text" || !format.schema) return null;
  const { $schema: _, ...schema } = format.schema;
  if (Bun.deepEquals(schema, enforced)) return null;
  return `The answer in JSON must fit this schema in every detail: ${JSON.stringify(schema)}`;
}
