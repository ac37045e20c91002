/**
 * The form of a JSON Schema that Claude Code takes for structured output. It ends with an error for a schema that its
 * own validator, of draft 7, does not compile, so it gets a simpler one, and the answer is checked against the original.
 */
import type { JsonSchema } from "../core/tools.ts";
import { isSchema, mapSchemas } from "./subschemas.ts";

const isText = (value: unknown) => typeof value === "string";
const isNumber = (value: unknown) => typeof value === "number";
const isCount = (value: unknown) => Number.isInteger(value) && (value as number) >= 0;
const isFlag = (value: unknown) => typeof value === "boolean";
const isAny = () => true;
const isSubschema = (value: unknown) => isSchema(value) || isFlag(value);
const isListOfSchemas = (value: unknown) => Array.isArray(value) && value.length > 0 && value.every(isSubschema);
const isNamedSchemas = (value: unknown) => isSchema(value) && Object.values(value).every(isSubschema);
const isNames = (value: unknown) => Array.isArray(value) && value.every(isText) && new Set(value).size === value.length;

const TYPES = ["array", "boolean", "integer", "null", "number", "object", "string"];
const isType = (value: unknown) =>
  Array.isArray(value) ? isNames(value) && value.length > 0 && value.every(isType) : TYPES.includes(value as string);

/** The keywords that Claude Code gets, and their values that it takes. */
const KEYWORDS: Readonly<Record<string, (value: unknown) => boolean>> = {
  $defs: isNamedSchemas,
  $ref: isText,
  additionalProperties: isSubschema,
  allOf: isListOfSchemas,
  anyOf: isListOfSchemas,
  const: isAny,
  default: isAny,
  definitions: isNamedSchemas,
  description: isText,
  enum: (value) => Array.isArray(value) && value.length > 0,
  exclusiveMaximum: isNumber,
  exclusiveMinimum: isNumber,
  items: isSubschema,
  maxItems: isCount,
  maxLength: isCount,
  maximum: isNumber,
  minItems: isCount,
  minLength: isCount,
  minimum: isNumber,
  oneOf: isListOfSchemas,
  properties: isNamedSchemas,
  required: isNames,
  title: isText,
  type: isType,
};

/**
 * @returns null when Claude Code cannot give such an answer: it is the input of a tool, which is always an object of
 * named properties
 */
export function claudeSchema(schema: JsonSchema): JsonSchema | null {
  if (schema.type !== "object") return null;
  const { anyOf: _any, oneOf: _one, allOf: _all, ...root } = schema;
  return mapSchemas(root, (one) =>
    Object.fromEntries(
      Object.entries(one).filter(([keyword, value]) => {
        const isTaken = Object.hasOwn(KEYWORDS, keyword) && KEYWORDS[keyword]?.(value);
        return isTaken && (keyword !== "$ref" || leadsToSchema(value as string, root));
      }),
    ),
  );
}

/** Whether a reference leads to a schema in the same document that is kept. */
function leadsToSchema(ref: string, root: JsonSchema): boolean {
  if (ref === "#") return true;
  const [, group = "", name = ""] = /^#\/(\$defs|definitions)\/([^/%~]+)$/.exec(ref) ?? [];
  const definitions = root[group];
  return isSchema(definitions) && Object.hasOwn(definitions, name) && isSchema(definitions[name]);
}
