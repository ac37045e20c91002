/**
 * Compiles a client's JSON Schema to a validator. Clients send schemas of every draft, with keywords of their own, and
 * with faults. What cannot be compiled is left out, and everything else is checked.
 */
import { Ajv, type ErrorObject, MissingRefError, type Options } from "ajv";
import { Ajv2019 } from "ajv/dist/2019.js";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { JsonSchema } from "../core/tools.ts";
import { escapePointer, isSchema, mapSchemas } from "./subschemas.ts";

export interface Validator {
  /** The keywords that are not checked, each with the JSON pointer of its schema, such as `pattern at /properties/id`. */
  readonly leftOut: readonly string[];
  /** What is wrong with a value, one line for each fault; null when it is valid. */
  problemOf(value: unknown): string | null;
}

/** How often a schema is compiled without the part that failed before. */
const MAX_REPAIRS = 50;
/** How many faults of an answer are named. */
const MAX_FAULTS = 10;
/** The length of one fault, in characters: `enum` names all its values. */
const MAX_FAULT_LENGTH = 500;

/**
 * @param withPatterns false leaves out all regular expressions, which can take exponential time
 * @returns a validator; where nothing of the schema can be compiled, one that accepts every value
 */
export function compile(schema: JsonSchema, withPatterns: boolean): Validator {
  const leftOut: string[] = [];
  let rest = normalized(schema, withPatterns, leftOut);
  for (let repairs = 0; repairs < MAX_REPAIRS; repairs += 1) {
    const ajv = create(rest);
    try {
      const validate = ajv.compile(rest);
      return {
        leftOut,
        problemOf: (value) => (validate(value) ? null : faults(validate.errors ?? [])),
      };
    } catch (error) {
      const next =
        error instanceof MissingRefError
          ? withoutRef(rest, error.missingRef, leftOut)
          : withoutFaulty(rest, ajv, leftOut);
      if (next === null) break;
      rest = next;
    }
  }
  return { leftOut: ["the whole schema"], problemOf: () => null };
}

const OPTIONS: Options = {
  strict: false,
  // Unlike a wrong value, a wrong format is for the client's program to judge: the drafts call formats an annotation.
  validateFormats: false,
  // Its faults would be thrown at once. `withoutFaulty` looks for them after a compilation has failed.
  validateSchema: false,
  allErrors: true,
  logger: false,
  // A validator is used once, so that optimizing it takes longer than it saves.
  code: { optimize: false, regExp: Object.assign(patternMatcher, { code: "patternMatcher" }) },
};

/** A validator of the draft that the schema names. Without a name that is the newest, unless it describes lists in the older way. */
function create(schema: JsonSchema): Ajv {
  const draft = typeof schema.$schema === "string" ? schema.$schema : "";
  if (draft.includes("2019-09")) return new Ajv2019(OPTIONS);
  const isOld = /draft-0[0-7]/.test(draft) || (!draft.includes("2020-12") && hasListOfItems(schema));
  return isOld ? new Ajv(OPTIONS) : new Ajv2020(OPTIONS);
}

function hasListOfItems(schema: JsonSchema): boolean {
  let found = false;
  mapSchemas(schema, (one) => {
    found ||= Array.isArray(one.items);
    return one;
  });
  return found;
}

/**
 * A regular expression as ajv uses it. An inline `(?i)` at the start, which JavaScript does not know, becomes a flag.
 * @throws SyntaxError when it is in the syntax of another language
 */
function patternMatcher(pattern: string, flags: string): RegExp {
  const [inline = "", inlineFlags = ""] = /^\(\?([ims]+)\)/.exec(pattern) ?? [];
  const source = pattern.slice(inline.length);
  try {
    return new RegExp(source, flags + inlineFlags);
  } catch {
    // With the flag `u`, which ajv sets, JavaScript refuses needless escapes such as `\-`.
    return new RegExp(source, inlineFlags);
  }
}

function isPattern(pattern: unknown): pattern is string {
  if (typeof pattern !== "string") return false;
  try {
    patternMatcher(pattern, "u");
    return true;
  } catch {
    // The syntax of another language's regular expressions.
    return false;
  }
}

/** The schema in a form that ajv compiles, with the same meaning, and without patterns that it could not compile. */
function normalized(schema: JsonSchema, withPatterns: boolean, leftOut: string[]): Record<string, unknown> {
  const anchors = anchorsOf(schema);
  return mapSchemas(schema, (one, pointer) => {
    // Ajv takes a `$dynamicRef` that leads nowhere for one to the whole schema.
    const [, anchor] = /^#([^/]+)$/.exec(String(one.$dynamicRef ?? "")) ?? [];
    if (anchor !== undefined && !anchors.has(anchor)) {
      leftOut.push(`$dynamicRef at ${pointer || "/"}`);
      delete one.$dynamicRef;
    }
    // An answer is checked at once, and only as it stands.
    delete one.$async;
    delete one.$data;
    if (typeof one.id === "string") {
      // Its name in drafts 3 and 4.
      one.$id ??= one.id;
      delete one.id;
    }
    boundsOfDraft4(one, "minimum", "exclusiveMinimum");
    boundsOfDraft4(one, "maximum", "exclusiveMaximum");
    nullableOfOpenApi(one);
    if (Array.isArray(one.enum) && one.enum.length === 0) {
      leftOut.push(`enum at ${pointer || "/"}`);
      delete one.enum;
    }
    if (one.pattern !== undefined && !(withPatterns && isPattern(one.pattern))) {
      leftOut.push(`pattern at ${pointer || "/"}`);
      delete one.pattern;
    }
    if (isSchema(one.patternProperties)) {
      const patterns = Object.keys(one.patternProperties);
      if (!withPatterns || !patterns.every(isPattern)) {
        leftOut.push(`patternProperties at ${pointer || "/"}`);
        delete one.patternProperties;
        // Without the patterns it is unknown which properties are additional.
        delete one.additionalProperties;
        delete one.unevaluatedProperties;
      }
    }
    return one;
  });
}

/** The names that schemas have for references within the document. */
function anchorsOf(schema: JsonSchema): ReadonlySet<unknown> {
  const anchors = new Set<unknown>();
  mapSchemas(schema, (one) => {
    anchors.add(one.$anchor).add(one.$dynamicAnchor);
    return one;
  });
  return anchors;
}

/** In draft 4 `exclusiveMinimum` says whether `minimum` itself is excluded. */
function boundsOfDraft4(schema: Record<string, unknown>, bound: string, exclusive: string): void {
  if (typeof schema[exclusive] !== "boolean") return;
  if (schema[exclusive] && typeof schema[bound] === "number") {
    schema[exclusive] = schema[bound];
    delete schema[bound];
  } else delete schema[exclusive];
}

/** OpenAPI's `nullable`, which ajv refuses where there is no `type`. */
function nullableOfOpenApi(schema: Record<string, unknown>): void {
  if (schema.nullable === undefined) return;
  if (schema.nullable === true && typeof schema.type === "string") schema.type = [schema.type, "null"];
  delete schema.nullable;
}

/** The schema without a reference that leads nowhere. Nothing is ever fetched. @returns null when it has no references */
function withoutRef(schema: JsonSchema, missing: string, leftOut: string[]): Record<string, unknown> | null {
  // The error names the reference together with the `$id` that it is relative to.
  return (
    without(schema, leftOut, (keyword, value) => REFS.has(keyword) && missing.endsWith(String(value))) ??
    without(schema, leftOut, (keyword) => REFS.has(keyword))
  );
}

const REFS = new Set(["$ref", "$dynamicRef", "$recursiveRef"]);
const NAMES = new Set(["$id", "$anchor", "$dynamicAnchor", "$recursiveAnchor"]);

/** The schema without keywords whose values are not allowed. @returns null when there is none */
function withoutFaulty(schema: JsonSchema, ajv: Ajv, leftOut: string[]): Record<string, unknown> | null {
  const faulty = new Set(faultyPointers(schema, ajv));
  // Schemas that have the same name exclude each other, which the draft's own schema does not know.
  if (faulty.size === 0) return without(schema, leftOut, (keyword) => NAMES.has(keyword));
  return without(schema, leftOut, (_keyword, _value, pointer) => {
    const own = [...faulty].filter((fault) => fault === pointer || fault.startsWith(`${pointer}/`));
    // An inner schema comes before the one that it is in, and a fault is left out only once.
    for (const fault of own) faulty.delete(fault);
    return own.length > 0;
  });
}

/** Where the draft's own schema finds faults. */
function faultyPointers(schema: JsonSchema, ajv: Ajv): readonly string[] {
  // Under an unknown name there is no schema of a draft. Without a name it is that of the default draft.
  const { $schema: _, ...rest } = schema;
  if (ajv.validateSchema(rest) === true) return [];
  const pointers = (ajv.errors ?? []).map(({ instancePath }) => instancePath).filter((pointer) => pointer !== "");
  // Of a fault in one of several alternatives, ajv also reports that no alternative fits.
  return pointers.filter((pointer) => !pointers.some((other) => other.startsWith(`${pointer}/`)));
}

/** The schema without some of its keywords. @returns null when it has none of them */
function without(
  schema: JsonSchema,
  leftOut: string[],
  isLeftOut: (keyword: string, value: unknown, pointer: string) => boolean,
): Record<string, unknown> | null {
  const before = leftOut.length;
  const rest = mapSchemas(schema, (one, pointer) => {
    for (const [keyword, value] of Object.entries(one)) {
      if (!isLeftOut(keyword, value, `${pointer}/${escapePointer(keyword)}`)) continue;
      leftOut.push(`${keyword} at ${pointer || "/"}`);
      delete one[keyword];
    }
    return one;
  });
  return leftOut.length > before ? rest : null;
}

function faults(errors: readonly ErrorObject[]): string {
  const lines = errors.slice(0, MAX_FAULTS).map(({ instancePath, message, params }) => {
    const details = JSON.stringify(params);
    return `${instancePath || "the value"} ${message ?? "is not valid"} (${details})`.slice(0, MAX_FAULT_LENGTH);
  });
  const more = errors.length - lines.length;
  return [...lines, ...(more > 0 ? [`and ${more} more`] : [])].join("\n");
}
