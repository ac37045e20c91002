/** The client's tools as Claude is offered them: their names and their schemas. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { OfferedTool } from "../../src/core/tools.ts";
import { catalogueOf } from "../../src/intake/tool-catalogue.ts";

const named = (name: string, parameters: Record<string, unknown> | null = null) => ({
  name,
  description: "",
  parameters,
});
const limits = { maxNameLength: 20, reserved: ["reply"] };
const offer = (...tools: ReturnType<typeof named>[]) => catalogueOf(tools, limits);
const only = (parameters: Record<string, unknown> | null): OfferedTool => {
  const [tool] = offer(named("t", parameters)).values();
  if (!tool) throw new Error("not offered");
  return tool;
};

describe("names", () => {
  const cases: [what: string, names: string[], offered: (string | RegExp)[]][] = [
    ["stay when Claude Code accepts them", ["get_weather", "a-B9"], ["get_weather", "a-B9"]],
    ["get an underscore for every other character", ["a.b c/ü"], ["a_b_c__"]],
    ["get a hash when two become the same", ["a.b", "a b"], ["a_b", /^a_b_[0-9a-f]{6}$/]],
    ["stay even when an earlier one becomes the same", ["a.b", "a_b"], [/^a_b_[0-9a-f]{6}$/, "a_b"]],
    [
      "are cut and get a hash when they are too long",
      ["n".repeat(21), "n".repeat(22)],
      [/^n{13}_[0-9a-f]{6}$/, /^n{13}_\w{6}$/],
    ],
    ["get a hash when they are reserved", ["reply"], [/^reply_[0-9a-f]{6}$/]],
    ["of two equal tools are one", ["a", "a"], ["a"]],
  ];
  test.each(cases)("%s", (_what, names, offered) => {
    const catalogue = offer(...names.map((name) => named(name)));
    expect([...catalogue.keys()]).toEqual(offered.map((name) => expect.stringMatching(exactly(name))));
    expect([...catalogue.values()].map(({ name }) => name)).toEqual([...new Set(names)]);
  });
  const exactly = (name: string | RegExp) => (typeof name === "string" ? new RegExp(`^${name}$`) : name);

  test("property: are valid, different from each other, and keep the client's name", () => {
    const name = fc.oneof(fc.string({ minLength: 1, maxLength: 40 }), fc.constantFrom("a.b", "a_b", "a b", "reply"));
    fc.assert(
      fc.property(fc.uniqueArray(name, { maxLength: 20 }), (names) => {
        const catalogue = offer(...names.map((one) => named(one)));
        expect(catalogue.size).toBe(names.length);
        for (const [key, { definition }] of catalogue) {
          expect(key).toMatch(/^[A-Za-z0-9_-]{1,20}$/);
          expect([definition.name, limits.reserved.includes(key)]).toEqual([key, false]);
        }
        expect([...catalogue.values()].map((tool) => tool.name)).toEqual(names);
      }),
    );
  });
});

describe("schemas", () => {
  const wrapped = (schema: Record<string, unknown>, more = {}) => ({
    type: "object",
    properties: { input: schema },
    required: ["input"],
    ...more,
  });
  const whole = { type: "object", properties: { x: { oneOf: [{}, { $ref: "#/$defs/d" }] } }, $defs: { d: {} }, z: 1 };
  const cases: [what: string, schema: Record<string, unknown> | null, offered: Record<string, unknown>][] = [
    ["stay when they are of an object", whole, whole],
    ["become an empty object's when there is none", null, { type: "object", properties: {} }],
    ["become an object's when they have no type", { properties: { x: {} } }, { type: "object", properties: { x: {} } }],
    ["become an object's when they are empty", {}, { type: "object" }],
    ["are wrapped when they are of another type", { type: "array", items: {} }, wrapped({ type: "array", items: {} })],
    ["are wrapped when they have several types", { type: ["object", "null"] }, wrapped({ type: ["object", "null"] })],
    [
      "are wrapped when their root is a choice",
      { type: "object", anyOf: [{}] },
      wrapped({ type: "object", anyOf: [{}] }),
    ],
    [
      "are wrapped when a property is not an object",
      { type: "object", properties: { x: true } },
      wrapped({ type: "object", properties: { x: true } }),
    ],
    [
      "are wrapped when a property has a name that the API does not accept",
      { type: "object", properties: { "filter[id]": {} } },
      wrapped({ type: "object", properties: { "filter[id]": {} } }),
    ],
    [
      "keep their definitions at the root when they are wrapped",
      { oneOf: [{ $ref: "#/$defs/d" }, { $ref: "#/oneOf/0" }, { $ref: "#" }], $defs: { d: { type: "string" } } },
      wrapped(
        { oneOf: [{ $ref: "#/$defs/d" }, { $ref: "#/properties/input/oneOf/0" }, { $ref: "#/properties/input" }] },
        { $defs: { d: { type: "string" } } },
      ),
    ],
  ];
  test.each(cases)("%s", (_what, schema, offered) => {
    expect(only(schema).definition.inputSchema).toEqual(offered);
  });

  test("stay the same to the letter when they are not wrapped", () => {
    expect(JSON.stringify(only(whole).definition.inputSchema)).toBe(JSON.stringify(whole));
  });
});
