/**
 * Makes the client's tools into tools that Claude Code accepts. A tool stays the same where possible. A name with other
 * characters, or a schema for which Claude Code would drop the tool or the whole list, is changed as little as possible.
 */
import { type ClientTool, type JsonSchema, type OfferedTool, type ToolCatalogue, WRAPPER_KEY } from "../core/tools.ts";

/** The property names that Anthropic's API accepts in a tool's schema. */
const VALID_KEY = /^[A-Za-z0-9_.-]{1,64}$/;
/** A name that had to be changed ends with this many digits of a hash, so that it differs from other tools' names. */
const HASH_LENGTH = 6;

/**
 * The tools that Claude is offered, by the names under which it is offered them.
 * @param maxNameLength in characters
 * @param reserved names that are taken already
 */
export function catalogueOf(
  tools: readonly ClientTool[],
  { maxNameLength, reserved }: { maxNameLength: number; reserved: readonly string[] },
): ToolCatalogue {
  // Of two tools with the same name the last counts: the client could not tell which one a call means.
  const distinct = [...new Map(tools.map((tool) => [tool.name, tool])).values()];
  const originalNames = new Set([...reserved, ...distinct.map(({ name }) => name)]);
  const catalogue = new Map<string, OfferedTool>();
  for (const tool of distinct) {
    const name = validName(tool.name, maxNameLength, (candidate) => {
      if (catalogue.has(candidate) || reserved.includes(candidate)) return true;
      // A tool whose own name this is keeps it.
      return candidate !== tool.name && originalNames.has(candidate);
    });
    const isWrapped = tool.parameters !== null && !isObjectSchema(tool.parameters);
    const inputSchema = isWrapped ? wrap(tool.parameters) : withType(tool.parameters);
    catalogue.set(name, {
      name: tool.name,
      definition: { name, description: tool.description, inputSchema },
      isWrapped,
    });
  }
  return catalogue;
}

/** A name that Claude Code accepts, as close as possible to the client's. */
function validName(name: string, maxLength: number, isTaken: (candidate: string) => boolean): string {
  const clean = name.replace(/[^A-Za-z0-9_-]/g, "_");
  if (clean.length <= maxLength && !isTaken(clean)) return clean;
  for (let seed = 0; ; seed += 1) {
    const hash = Bun.hash.wyhash(name, BigInt(seed)).toString(16).padStart(HASH_LENGTH, "0").slice(-HASH_LENGTH);
    const candidate = `${clean.slice(0, maxLength - HASH_LENGTH - 1)}_${hash}`;
    if (!isTaken(candidate)) return candidate;
  }
}

/**
 * Whether Claude Code and Anthropic's API accept the root of a schema. For another root, Claude Code drops the tool or
 * the whole list. For a property name that the API does not accept, the API refuses every request of the conversation.
 */
function isObjectSchema(schema: JsonSchema): boolean {
  const { type, properties, required } = schema;
  if (type !== "object" && type !== undefined) return false;
  if (["anyOf", "oneOf", "allOf", "not", "$ref"].some((key) => key in schema)) return false;
  if (type === undefined && ("enum" in schema || "const" in schema || "items" in schema)) return false;
  const propertiesFit =
    properties === undefined ||
    (isRecord(properties) &&
      Object.entries(properties).every(([key, value]) => VALID_KEY.test(key) && isRecord(value)));
  return propertiesFit && (required === undefined || isTexts(required));
}

const isRecord = (value: unknown): value is JsonSchema =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every((one) => typeof one === "string");

const withType = (schema: JsonSchema | null): JsonSchema =>
  schema?.type === "object" ? schema : { type: "object", ...(schema ?? { properties: {} }) };

function wrap(schema: JsonSchema | null): JsonSchema {
  const { $defs, definitions, $schema, ...rest } = withMovedReferences(schema) as JsonSchema;
  return {
    ...($schema === undefined ? {} : { $schema }),
    type: "object",
    properties: { [WRAPPER_KEY]: rest },
    required: [WRAPPER_KEY],
    // References to definitions start at the root, so the definitions stay there.
    ...($defs === undefined ? {} : { $defs }),
    ...(definitions === undefined ? {} : { definitions }),
  };
}

/** The schema with its references to itself adjusted to its new position below the wrapper. */
function withMovedReferences(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withMovedReferences);
  if (!isRecord(schema)) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => {
      const isToItself = key === "$ref" && typeof value === "string" && /^#(?!\/(\$defs|definitions)\/)/.test(value);
      return [key, isToItself ? `#/properties/${WRAPPER_KEY}${value.slice(1)}` : withMovedReferences(value)];
    }),
  );
}
