/** An answer that must be JSON: whether it is, and how Claude is asked for another one. */

import { type AnswerFormat, formatNote } from "../api/openai-chat/response-format.ts";
import { RequestError } from "../core/errors.ts";
import { parseJson } from "../core/json-gate.ts";
import type { SchemaChecker } from "../json-schema/checker.ts";
import { isSchema } from "../json-schema/subschemas.ts";
import { unfenced } from "./code-fence.ts";

export type JsonFormat = AnswerFormat & { readonly type: "json" };

export interface CheckedAnswer {
  /** The answer without a code fence. */
  readonly text: string;
  /** What is wrong with it, for Claude; null when it is valid. */
  readonly problem: string | null;
  /** The parts of the schema that were not checked. */
  readonly leftOut: readonly string[];
}

/**
 * Checks an answer.
 * @param candidates the texts that may be the answer; the first one that is valid is
 * @param prefill the beginning of the answer, which the client has; null when there is none
 */
export async function checkAnswer(
  candidates: readonly string[],
  prefill: string | null,
  { schema }: JsonFormat,
  checker: SchemaChecker,
): Promise<CheckedAnswer> {
  let first: CheckedAnswer | null = null;
  for (const candidate of candidates) {
    const text = unfenced(candidate);
    // A continuation is valid together with the prefill.
    for (const whole of prefill === null ? [text] : [text, prefill + text]) {
      const checked = { text, ...(await check(whole, schema, checker)) };
      if (checked.problem === null) return checked;
      first ??= checked;
    }
  }
  return first ?? { text: "", problem: NOT_JSON, leftOut: [] };
}

const NOT_JSON = "It is not valid JSON.";

async function check(text: string, schema: JsonFormat["schema"], checker: SchemaChecker) {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch {
    // What the parser reports may quote the answer, and says less than the answer itself.
    return { problem: NOT_JSON, leftOut: [] };
  }
  if (schema) {
    const { problem, leftOut } = await checker.check(schema, text);
    return { problem: problem === null ? null : `It does not fit the schema:\n${problem}`, leftOut };
  }
  return { problem: isSchema(value) ? null : "It is JSON, but not an object.", leftOut: [] };
}

/** What Claude reads when its answer was not valid. */
export const repairNote = (problem: string, format: JsonFormat): string =>
  `Your last answer cannot be used, and the person has not received it. ${problem}\n\nGive the answer again. ${formatNote(format)}`;

/** The error for the client when the second answer is not valid either. */
export const invalidAnswer = ({ schema }: JsonFormat): RequestError =>
  new RequestError(
    "claude_failed",
    `Claude did not give an answer that is valid JSON${schema ? " and fits the schema" : ""}, although it was asked ` +
      "twice. Send the request again, or describe the format in a message.",
    { param: "response_format" },
  );
