/** The tools of a request, and its `tool_choice`. */
import { describe, expect, test } from "bun:test";
import { chatRequest } from "../../../src/api/openai-chat/request.ts";
import { checkChoice, choiceNote, toolsOf } from "../../../src/api/openai-chat/tools.ts";
import { catalogueOf } from "../../../src/intake/tool-catalogue.ts";

const limits = { maxNameLength: 20, reserved: ["reply"] };
const request = (more: object) => chatRequest.parse({ messages: [{ role: "user", content: "x" }], ...more });
const listed = (...names: string[]) => names.map((name) => ({ type: "function", function: { name } }));

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
    const sentence = choiceNote(asked, catalogueOf(offered, limits));
    if (note) expect(sentence).toMatch(note);
    else expect(sentence).toBeNull();
  });

  test("is refused when it has another value", () => {
    expect(chatRequest.safeParse({ messages: [{ role: "user", content: "x" }], tool_choice: "perhaps" }).success).toBe(
      false,
    );
  });
});

describe("a tool that must be called and is not offered is refused:", () => {
  const tools = listed("a", "b");
  const b = { type: "function", function: { name: "b" } };
  test.each<[what: string, more: object, offered: object[], message: RegExp | null]>([
    ["any tool, when none is offered", { tools, tool_choice: "required" }, [], /CLIENT_TOOLS/],
    ["any tool, when the request has none", { tool_choice: "required" }, [], /a tool, but tools has none/],
    ["a tool that a setting leaves out", { tools, tool_choice: b }, listed("a"), /tool b, but SYNTHESIS_CLIENT_TOOLS/],
    ["a tool that the request does not have", { tools: listed("a"), tool_choice: b }, listed("a"), /tool b, but tools/],
    [
      "one of several that the request does not have",
      { tools, tool_choice: { type: "allowed_tools", allowed_tools: { mode: "required", tools: listed("z") } } },
      [],
      /a tool, but tools/,
    ],
    ["not one that is offered", { tools, tool_choice: b }, tools, null],
    ["not any tool, when one is offered", { tools, tool_choice: "required" }, listed("a"), null],
    ["not when Claude may answer", { tools, tool_choice: "auto" }, [], null],
    ["not when Claude must answer", { tools, tool_choice: "none" }, [], null],
  ])("%s", (_what, more, offered, message) => {
    const asked = request(more);
    const check = () => checkChoice(asked, catalogueOf(toolsOf(request({ tools: offered })), limits));
    if (message) expect(check).toThrow(message);
    else expect(check).not.toThrow();
  });
});

test("offers only functions", () => {
  expect(toolsOf(request({ tools: [{ type: "custom", custom: { name: "c" } }, ...listed("a")] }))).toHaveLength(1);
});
