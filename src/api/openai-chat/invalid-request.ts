/** Validation errors of zod as errors for the client, in plain English. */
import type { z } from "zod";
import { RequestError } from "../../core/errors.ts";

const EXPECTED: Record<string, string> = {
  string: "a string",
  number: "a number",
  boolean: "true or false",
  array: "an array",
  object: "an object",
  record: "an object",
};

/**
 * The message for an issue, where the schema does not have one of its own. It continues the sentence that the field's
 * name begins: "messages must not be empty".
 * @returns undefined to keep zod's own message
 */
export function describeIssue(issue: z.core.$ZodRawIssue): string | undefined {
  const wanted = expected(issue);
  if (wanted) return issue.input === undefined ? `is missing; it must be ${wanted}` : `must be ${wanted}`;
  if (issue.code === "too_small" && issue.minimum === 1) return "must not be empty";
  if (issue.code === "unrecognized_keys") return `has unknown fields: ${issue.keys.join(", ")}`;
  return undefined;
}

function expected(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === "invalid_type") return EXPECTED[issue.expected];
  if (issue.code !== "invalid_value") return undefined;
  return issue.values.length === 1 ? String(issue.values[0]) : `one of ${issue.values.join(", ")}`;
}

/** The error for a body that does not match its schema. `param` is the path of the first field that does not. */
export function invalidRequest(error: z.core.$ZodError): RequestError {
  const { path, message } = deepest(error.issues[0] as z.core.$ZodIssue);
  const param = path.reduce<string>(
    (path, key) => (typeof key === "number" ? `${path}[${key}]` : path ? `${path}.${String(key)}` : String(key)),
    "",
  );
  return new RequestError("invalid_request", `${param || "The body"} ${message}.`, { param: param || null });
}

/**
 * The innermost issue. For a field that may have several forms, it is the issue of the form that the client meant: the
 * one that matches on the outside.
 */
function deepest(issue: z.core.$ZodIssue): Pick<z.core.$ZodIssue, "path" | "message"> {
  if (issue.code !== "invalid_union") return issue;
  const inner = issue.errors.map(([first]) => first).find((first) => first && first.path.length > 0);
  if (!inner) return issue;
  const { path, message } = deepest(inner);
  return { path: [...issue.path, ...path], message };
}
