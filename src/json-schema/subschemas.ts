/** Where in a JSON Schema other schemas stand. */
import type { JsonSchema } from "../core/tools.ts";

/** Keywords whose value is a schema, a list of schemas, or a schema for each name. */
const ONE = new Set([
  "additionalItems",
  "additionalProperties",
  "contains",
  "contentSchema",
  "else",
  "if",
  "items",
  "not",
  "propertyNames",
  "then",
  "unevaluatedItems",
  "unevaluatedProperties",
]);
const LIST = new Set(["allOf", "anyOf", "items", "oneOf", "prefixItems"]);
const NAMED = new Set(["$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"]);

export const isSchema = (value: unknown): value is JsonSchema =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Rewrites a schema and all schemas in it. Values that only look like schemas, for example in `enum` or `default`, stay
 * as they are.
 * @param rewrite gets a schema whose inner schemas are rewritten already, and its JSON pointer
 */
export function mapSchemas(
  schema: JsonSchema,
  rewrite: (schema: Record<string, unknown>, pointer: string) => Record<string, unknown>,
  pointer = "",
): Record<string, unknown> {
  const inner = (value: unknown, at: string): unknown => (isSchema(value) ? mapSchemas(value, rewrite, at) : value);
  const copy = Object.fromEntries(
    Object.entries(schema).map(([keyword, value]) => {
      const at = `${pointer}/${escapePointer(keyword)}`;
      if (LIST.has(keyword) && Array.isArray(value))
        return [keyword, value.map((one, index) => inner(one, `${at}/${index}`))];
      if (NAMED.has(keyword) && isSchema(value)) {
        const named = Object.entries(value).map(
          ([name, one]) => [name, inner(one, `${at}/${escapePointer(name)}`)] as const,
        );
        return [keyword, Object.fromEntries(named)];
      }
      return [keyword, ONE.has(keyword) ? inner(value, at) : value];
    }),
  );
  return rewrite(copy, pointer);
}

/** A field name as a part of a JSON pointer. */
export const escapePointer = (name: string): string => name.replaceAll("~", "~0").replaceAll("/", "~1");
