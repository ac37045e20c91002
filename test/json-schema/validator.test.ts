/** What is checked of the schemas that clients send, and what is left out. */
import { describe, expect, test } from "bun:test";
import { compile } from "../../src/json-schema/validator.ts";

const draft = (name: string) => ({ $schema: `https://json-schema.org/draft/${name}/schema` });
const node = {
  type: "object",
  properties: { next: { anyOf: [{ $ref: "#/$defs/node" }, { type: "null" }] } },
  required: ["next"],
};

describe("checks the whole schema with", () => {
  const cases: [what: string, schema: object, valid: unknown, invalid: unknown][] = [
    ["$schema 2020-12", { ...draft("2020-12"), properties: { a: { type: "integer" } } }, { a: 1 }, { a: "1" }],
    [
      "$schema 2019-09",
      { ...draft("2019-09"), properties: { a: true }, unevaluatedProperties: false },
      { a: 1 },
      { b: 1 },
    ],
    ["an unknown $schema", { $schema: "http://example.com/mine", type: "object" }, {}, []],
    [
      "unknown keywords",
      { "x-order": 1, type: "object", properties: { a: { hint: [], type: "string" } } },
      {},
      { a: 1 },
    ],
    ["prefixItems", { prefixItems: [{ type: "string" }], items: false }, ["a"], ["a", "b"]],
    ["a list of items", { items: [{ type: "string" }], additionalItems: false }, ["a"], ["a", "b"]],
    ["a boolean exclusiveMinimum", { minimum: 1, exclusiveMinimum: true }, 2, 1],
    ["a false exclusiveMaximum", { maximum: 1, exclusiveMaximum: false }, 1, 2],
    ["draft 4's id", { id: "http://example.com/mine", type: "object" }, {}, []],
    ["an inline flag in a pattern", { pattern: "(?i)^abc$" }, "ABC", "x"],
    ["a needless escape in a pattern", { pattern: "^\\d\\-\\d$" }, "1-2", "12"],
    ["nullable", { type: "string", nullable: true }, null, 1],
    [
      "a schema that contains itself",
      { $ref: "#/$defs/node", $defs: { node } },
      { next: { next: null } },
      { next: {} },
    ],
    [
      "$dynamicRef",
      {
        ...draft("2020-12"),
        $dynamicAnchor: "node",
        properties: { c: { type: "array", items: { $dynamicRef: "#node" } } },
      },
      { c: [{ c: [] }] },
      { c: [{ c: 1 }] },
    ],
    ["$async", { $async: true, type: "object" }, {}, []],
    [
      "a definition by its name in old drafts",
      { $ref: "#/definitions/a", definitions: { a: { type: "number" } } },
      1,
      "1",
    ],
  ];
  test.each(cases)("%s", (_what, schema, valid, invalid) => {
    const { leftOut, problemOf } = compile(schema as Record<string, unknown>, true);
    expect(leftOut).toEqual([]);
    expect(problemOf(valid)).toBeNull();
    expect(problemOf(invalid)).not.toBeNull();
  });
});

describe("leaves out only", () => {
  const cases: [what: string, part: object, leftOut: string][] = [
    ["a reference that leads nowhere", { $ref: "#/$defs/none" }, "$ref at /properties/x"],
    ["a dynamic reference that leads nowhere", { $dynamicRef: "#none" }, "$dynamicRef at /properties/x"],
    ["a reference to another document", { $ref: "https://example.com/a.json#/b" }, "$ref at /properties/x"],
    ["a pattern of another language", { pattern: "(?P<year>[0-9]+)" }, "pattern at /properties/x"],
    [
      "patterns for names",
      { patternProperties: { "(?P<a>b)": {} }, additionalProperties: false },
      "patternProperties at /properties/x",
    ],
    ["an unknown type", { type: "text" }, "type at /properties/x"],
    ["a wrong value of a keyword", { minLength: "5" }, "minLength at /properties/x"],
    ["an enum without values", { enum: [] }, "enum at /properties/x"],
    ["draft 3's required", { required: true }, "required at /properties/x"],
    ["faults in an inner schema", { items: { type: "text" } }, "type at /properties/x/items"],
  ];
  test.each(cases)("%s", (_what, part, leftOut) => {
    const validator = compile({ properties: { x: part, y: { type: "string" } } }, true);
    expect(validator.leftOut).toEqual([leftOut]);
    expect(validator.problemOf({ x: ["anything"], y: "text" })).toBeNull();
    expect(validator.problemOf({ y: 1 })).toContain("/y must be string");
  });

  test("names that occur twice", () => {
    const { leftOut, problemOf } = compile({ $id: "a", properties: { x: { $id: "a", type: "string" } } }, true);
    expect(leftOut).toEqual(["$id at /properties/x", "$id at /"]);
    expect(problemOf({ x: 1 })).not.toBeNull();
  });

  test("all patterns, when they may take too long", () => {
    const { leftOut, problemOf } = compile({ properties: { a: { pattern: "^(a+)+$", type: "string" } } }, false);
    expect(leftOut).toEqual(["pattern at /properties/a"]);
    expect([problemOf({ a: "b" }), problemOf({ a: 1 })]).toEqual([null, expect.stringContaining("/a must be string")]);
  });
});

test("values that look like schemas stay as they are", () => {
  const { leftOut, problemOf } = compile({ enum: [{ $ref: "#/none", pattern: "(?P<a>b)" }] }, true);
  expect([leftOut, problemOf({ $ref: "#/none", pattern: "(?P<a>b)" })]).toEqual([[], null]);
});
