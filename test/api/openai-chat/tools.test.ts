/** The tools of a request, and its `tool_choice`. */
import { describe, expect, test } from "bun:test";
import { chatRequest } from "../../../src/api/openai-chat/request.ts";
import { choiceNote, toolsOf } from "../../../src/api/openai-chat/tools.ts";
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

test("offers only functions", () => {
  expect(toolsOf(request({ tools: [{ type: "custom", custom: { name: "c" } }, ...listed("a")] }))).toHaveLength(1);
});
