/**
 * A request's tools as MCP's, for claude to be offered, and claude's calls of them as OpenAI's again. What
 * claude could not take (a name it cannot spell, a schema for which it would drop the tool, or the whole list
 * with it) is changed as little as will do; all else goes through as it came.
 */
import type { JsonSchema, OfferedTool, ToolCatalogue } from "../../core/tools.ts";
import type { ChatRequest } from "./request.ts";

export interface ClientTool {
  readonly name: string;
  readonly description: string;
  /** JSON Schema; null when the tool takes nothing. */
  readonly parameters: JsonSchema | null;
}

/** Where a schema stands that is not an object's. */
const WRAPPED = "input";
/** As Anthropic's API wants the keys of a tool's properties. */
const KEY = /^[A-Za-z0-9_.-]{1,64}$/;
/** Of a name that had to be changed and is then another's, so much of its hash tells the two apart. */
const HASH_LENGTH = 6;

/** The tools a request brings, less those it wants not to be used. */
export function toolsOf({ tools, tool_choice: choice }: ChatRequest): readonly ClientTool[] {
  if (choice === "none") return [];
  const allowed =
    typeof choice === "object" && choice?.type === "allowed_tools" && choice.allowed_tools
      ? new Set(choice.allowed_tools.tools.map((tool) => tool.function?.name))
      : null;
  return (tools ?? []).flatMap((tool): ClientTool[] => {
    if (tool.type !== "function" || !tool.function) return [];
    const { name, description, parameters } = tool.function;
    if (allowed && !allowed.has(name)) return [];
    return [{ name, description: description ?? "", parameters: parameters ?? null }];
  });
}

/** What a request asks of claude about the use of its tools, in words: claude cannot be forced. Null for nothing. */
export function choiceNote({ tools, tool_choice: choice }: ChatRequest, catalogue: ToolCatalogue): string | null {
  // claude may have been offered them with an earlier message.
  if (choice === "none")
    return tools?.length ? "This message must be answered without the chat program's tools." : null;
  if (catalogue.size === 0 || !choice || choice === "auto") return null;
  if (choice !== "required" && choice.type === "function") {
    const named = [...catalogue].find(([, { name }]) => name === choice.function?.name)?.[0];
    return named ? `This message must be answered by a call of the tool ${named}.` : null;
  }
  const isRequired = choice === "required" || choice.allowed_tools?.mode === "required";
  return isRequired ? `This message must be answered by a call of one of the tools ${namesOf(catalogue)}.` : null;
}

const namesOf = (catalogue: ToolCatalogue): string => [...catalogue.keys()].join(", ");

/**
 * What claude is offered.
 * @param maxNameLength in characters
 * @param reserved names that are taken already
 */
export function catalogueOf(
  tools: readonly ClientTool[],
  { maxNameLength, reserved }: { maxNameLength: number; reserved: readonly string[] },
): ToolCatalogue {
  // Of two with one name the client itself could not tell which is called.
  const distinct = [...new Map(tools.map((tool) => [tool.name, tool])).values()];
  const plain = new Set([...reserved, ...distinct.map(({ name }) => name)]);
  const catalogue = new Map<string, OfferedTool>();
  for (const tool of distinct) {
    const name = spelled(tool.name, maxNameLength, (candidate) => {
      if (catalogue.has(candidate) || reserved.includes(candidate)) return true;
      // A name that can stay as it is has the better right to it.
      return candidate !== tool.name && plain.has(candidate);
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

/** The client's id of a call, from claude's. Letters and digits only: OpenClaw leaves out all else. */
export const callIdOf = (id: string): string => `call${plainId(id).replace(/^toolu/, "")}`;
/** An id as it can be compared with what comes back of it. */
export const plainId = (id: string): string => id.replace(/[^A-Za-z0-9]/g, "");

/** A tool's arguments as its client has to get them, as JSON. */
export function argumentsOf(tool: OfferedTool, given: Record<string, unknown>): string {
  return JSON.stringify(tool.isWrapped && WRAPPED in given ? given[WRAPPED] : given);
}

/** @param isTaken whether a name is another's */
function spelled(name: string, longest: number, isTaken: (candidate: string) => boolean): string {
  const clean = name.replace(/[^A-Za-z0-9_-]/g, "_");
  if (clean.length <= longest && !isTaken(clean)) return clean;
  for (let seed = 0; ; seed += 1) {
    const hash = Bun.hash.wyhash(name, BigInt(seed)).toString(16).padStart(HASH_LENGTH, "0").slice(-HASH_LENGTH);
    const candidate = `${clean.slice(0, longest - HASH_LENGTH - 1)}_${hash}`;
    if (!isTaken(candidate)) return candidate;
  }
}

/**
 * What claude and its API take at the top of a schema. For anything else claude drops the tool, or all of them; and
 * for a key that the API does not take, that refuses all that is ever said in the conversation.
 */
function isObjectSchema(schema: JsonSchema): boolean {
  const { type, properties, required } = schema;
  if (type !== "object" && type !== undefined) return false;
  if (["anyOf", "oneOf", "allOf", "not", "$ref"].some((key) => key in schema)) return false;
  if (type === undefined && ("enum" in schema || "const" in schema || "items" in schema)) return false;
  const propertiesFit =
    properties === undefined ||
    (isRecord(properties) && Object.entries(properties).every(([key, value]) => KEY.test(key) && isRecord(value)));
  return propertiesFit && (required === undefined || isTexts(required));
}

const isRecord = (value: unknown): value is JsonSchema =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every((one) => typeof one === "string");

const withType = (schema: JsonSchema | null): JsonSchema =>
  schema?.type === "object" ? schema : { type: "object", ...(schema ?? { properties: {} }) };

function wrap(schema: JsonSchema | null): JsonSchema {
  const { $defs, definitions, $schema, ...rest } = moved(schema) as JsonSchema;
  return {
    ...($schema === undefined ? {} : { $schema }),
    type: "object",
    properties: { [WRAPPED]: rest },
    required: [WRAPPED],
    // References lead to these from the top.
    ...($defs === undefined ? {} : { $defs }),
    ...(definitions === undefined ? {} : { definitions }),
  };
}

/** The schema with its references to itself leading to where it is put. */
function moved(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(moved);
  if (!isRecord(schema)) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => {
      const isOwn = key === "$ref" && typeof value === "string" && /^#(?!\/(\$defs|definitions)\/)/.test(value);
      return [key, isOwn ? `#/properties/${WRAPPED}${value.slice(1)}` : moved(value)];
    }),
  );
}
