/** The form of a client's schema that Claude Code enforces. */
import { expect, test } from "bun:test";
import { claudeSchema } from "../../src/json-schema/claude-schema.ts";

test("keeps what Claude Code takes", () => {
  const schema = {
    type: "object",
    properties: { a: { type: ["string", "null"], description: "text" }, b: { $ref: "#/$defs/b" } },
    $defs: { b: { anyOf: [{ enum: [1] }, { type: "array", items: { $ref: "#" }, minItems: 1 }] } },
    required: ["a"],
    additionalProperties: false,
  };
  expect(claudeSchema(schema)).toEqual(schema);
});

test("leaves out what Claude Code ends with an error for", () => {
  const properties = {
    a: { type: "number", minimum: 1, exclusiveMinimum: true },
    b: { type: "string", pattern: "(?i)a", format: "date", "x-hint": 1 },
    c: { prefixItems: [{ type: "string" }] },
    d: { $ref: "#/$defs/none" },
    e: { $ref: "https://example.com/a.json" },
    f: { $dynamicRef: "#node", minLength: "5", enum: [] },
  };
  expect(
    claudeSchema({ $schema: "https://json-schema.org/draft/2020-12/schema", $id: "x", type: "object", properties }),
  ).toEqual({
    type: "object",
    properties: { a: { type: "number", minimum: 1 }, b: { type: "string" }, c: {}, d: {}, e: {}, f: {} },
  });
});

test("is none where the answer may be something else than an object", () => {
  expect([claudeSchema({ type: "array" }), claudeSchema({ $ref: "#/$defs/a" }), claudeSchema({})]).toEqual([
    null,
    null,
    null,
  ]);
});
