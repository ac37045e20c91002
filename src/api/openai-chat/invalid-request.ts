/** What is wrong with a field of a request, in plain words. */
import type { z } from "zod";
import { RequestError } from "../../core/errors.ts";

const KINDS: Record<string, string> = {
  string: "a string",
  number: "a number",
  boolean: "true or false",
  array: "an array",
  object: "an object",
  record: "an object",
};

/** What to say of an issue for which the schema itself has no words; it goes on where the field's name ends. */
export function inWords(issue: z.core.$ZodRawIssue): string | undefined {
  const wanted = expected(issue);
  if (wanted) return issue.input === undefined ? `is missing; it must be ${wanted}` : `must be ${wanted}`;
  if (issue.code === "too_small" && issue.minimum === 1) return "must not be empty";
  if (issue.code === "unrecognized_keys") return `has fields that nobody knows: ${issue.keys.join(", ")}`;
  // zod's own words.
  return undefined;
}

function expected(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === "invalid_type") return KINDS[issue.expected];
  if (issue.code !== "invalid_value") return undefined;
  return issue.values.length === 1 ? String(issue.values[0]) : `one of ${issue.values.join(", ")}`;
}

/** The request's error for a body that does not fit, with the field's path as `param`. */
export function invalidRequest(error: z.core.$ZodError): RequestError {
  const { path, message } = deepest(error.issues[0] as z.core.$ZodIssue);
  const param = path.reduce<string>(
    (path, key) => (typeof key === "number" ? `${path}[${key}]` : path ? `${path}.${String(key)}` : String(key)),
    "",
  );
  return new RequestError("invalid_request", `${param || "The body"} ${message}.`, { param: param || null });
}

/** Of several forms that a field may have, what is wrong with the one that was meant: it fits from the outside. */
function deepest(issue: z.core.$ZodIssue): Pick<z.core.$ZodIssue, "path" | "message"> {
  if (issue.code !== "invalid_union") return issue;
  const inner = issue.errors.map(([first]) => first).find((first) => first && first.path.length > 0);
  if (!inner) return issue;
  const { path, message } = deepest(inner);
  return { path: [...issue.path, ...path], message };
}
