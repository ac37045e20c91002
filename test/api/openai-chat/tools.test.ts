/** The client's tools as Claude is offered them: their names, their schemas, and the choice among them. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { chatRequest } from "../../../src/api/openai-chat/request.ts";
import { catalogueOf, choiceNote, toolsOf } from "../../../src/api/openai-chat/tools.ts";
import type { OfferedTool } from "../../../src/core/tools.ts";

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
const request = (more: object) => chatRequest.parse({ messages: [{ role: "user", content: "x" }], ...more });
const listed = (...names: string[]) => names.map((name) => ({ type: "function", function: { name } }));

describe("names", () => {
  const cases: [what: string, names: string[], offered: (string | RegExp)[]][] = [
    ["stay", ["get_weather", "a-B9"], ["get_weather", "a-B9"]],
    ["are spelled in letters, digits, _ and -", ["a.b c/ü"], ["a_b_c__"]],
    ["that become the same are told apart", ["a.b", "a b"], ["a_b", /^a_b_[0-9a-f]{6}$/]],
    ["that can stay have the better right, wherever they stand", ["a.b", "a_b"], [/^a_b_[0-9a-f]{6}$/, "a_b"]],
    ["too long are cut and told apart", ["n".repeat(21), "n".repeat(22)], [/^n{13}_[0-9a-f]{6}$/, /^n{13}_\w{6}$/]],
    ["that are ours are changed", ["reply"], [/^reply_[0-9a-f]{6}$/]],
    ["said twice are one tool", ["a", "a"], ["a"]],
  ];
  test.each(cases)("%s", (_what, names, offered) => {
    const catalogue = offer(...names.map((name) => named(name)));
    expect([...catalogue.keys()]).toEqual(offered.map((name) => expect.stringMatching(exactly(name))));
    expect([...catalogue.values()].map(({ name }) => name)).toEqual([...new Set(names)]);
  });
  const exactly = (name: string | RegExp) => (typeof name === "string" ? new RegExp(`^${name}$`) : name);

  test("property: each is one that claude takes, no two are the same, and each leads back", () => {
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
    ["of an object stay", whole, whole],
    ["that are not there become an empty object's", null, { type: "object", properties: {} }],
    ["without a type become an object's", { properties: { x: {} } }, { type: "object", properties: { x: {} } }],
    ["that are empty become an object's", {}, { type: "object" }],
    ["of another type are wrapped", { type: "array", items: {} }, wrapped({ type: "array", items: {} })],
    ["of several types are wrapped", { type: ["object", "null"] }, wrapped({ type: ["object", "null"] })],
    ["with a choice at the top are wrapped", { type: "object", anyOf: [{}] }, wrapped({ type: "object", anyOf: [{}] })],
    [
      "with a property that is no schema object are wrapped",
      { type: "object", properties: { x: true } },
      wrapped({ type: "object", properties: { x: true } }),
    ],
    [
      "with a key that the API does not take are wrapped",
      { type: "object", properties: { "filter[id]": {} } },
      wrapped({ type: "object", properties: { "filter[id]": {} } }),
    ],
    [
      "take their definitions along when they are wrapped",
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

  test("that stay are the very same", () => {
    expect(JSON.stringify(only(whole).definition.inputSchema)).toBe(JSON.stringify(whole));
  });
});

describe("tool_choice", () => {
  const tools = listed("a", "b");
  const allowed = (mode: string) => ({ type: "allowed_tools", allowed_tools: { mode, tools: listed("b") } });
  const cases: [choice: unknown, names: string[], note: RegExp | null][] = [
    [undefined, ["a", "b"], null],
    ["auto", ["a", "b"], null],
    ["none", [], /without/],
    ["required", ["a", "b"], /one of the tools a, b\.$/],
    [{ type: "function", function: { name: "b" } }, ["a", "b"], /the tool b\.$/],
    [{ type: "function", function: { name: "z" } }, ["a", "b"], null],
    [allowed("auto"), ["b"], null],
    [allowed("required"), ["b"], /one of the tools b\.$/],
  ];
  test.each(cases)("%j", (tool_choice, names, note) => {
    const asked = request({ tools, tool_choice });
    const offered = toolsOf(asked);
    expect(offered.map(({ name }) => name)).toEqual(names);
    const told = choiceNote(asked, catalogueOf(offered, limits));
    if (note) expect(told).toMatch(note);
    else expect(told).toBeNull();
  });

  test("that is none of these is refused", () => {
    expect(chatRequest.safeParse({ messages: [{ role: "user", content: "x" }], tool_choice: "perhaps" }).success).toBe(
      false,
    );
  });
});

test("what is no function is not offered", () => {
  expect(toolsOf(request({ tools: [{ type: "custom", custom: { name: "c" } }, ...listed("a")] }))).toHaveLength(1);
});
