/** Calls and results of the client's tools in the dialogue that a new Claude gets. */
import { describe, expect, test } from "bun:test";
import { readDialogue } from "../../src/intake/dialogue.ts";
import { catalogueOf } from "../../src/intake/tool-catalogue.ts";
import { TOOL_PREFIX } from "../../src/plugin/manifest.ts";
import { parsedRequest } from "../support/parsed-request.ts";

const NAME = `${TOOL_PREFIX}weather`;
const tool = (name: string, parameters: Record<string, unknown> = { type: "object" }) => ({
  name,
  description: "",
  parameters,
});
const offered = catalogueOf([tool("weather"), tool("my.tool"), tool("list", { type: "array" })], {
  maxNameLength: 64,
  reserved: [],
});
const call = (id: string, name: string, args: string) => ({
  id,
  type: "function",
  function: { name, arguments: args },
});
const calling = (...tool_calls: object[]) => ({ role: "assistant", content: "Let me look.", tool_calls });
const result = (id: string, content: unknown = "rain") => ({ role: "tool", tool_call_id: id, content });
const read = (...messages: object[]) =>
  readDialogue(parsedRequest({ messages: [{ role: "user", content: "Well?" }, ...messages] }), offered).slice(1);
const text = (value: string) => ({ type: "text", text: value });
const use = (id: string, name: string, input: object) => ({ type: "tool_use", id, name, input });
const used = (id: string, value = "rain", is_error = false) => ({
  type: "tool_result",
  tool_use_id: id,
  is_error,
  content: value === "" ? [] : [text(value)],
});

describe("are blocks", () => {
  test("when the tool is offered", () => {
    expect(read(calling(call("c1", "weather", '{"city":"Oslo"}')), result("c1"))).toEqual([
      { role: "assistant", content: [text("Let me look."), use("c1", NAME, { city: "Oslo" })] },
      { role: "user", content: [used("c1")] },
    ] as never);
  });

  test("also several, with results in another order, and what follows", () => {
    const messages = [
      calling(call("c1", "weather", "{}"), call("c2", "my.tool", "")),
      { ...result("c2", ""), is_error: true },
      result("c1"),
      { role: "user", content: "And?" },
    ];
    expect(read(...messages)[0]?.content.slice(1)).toEqual([
      use("c1", NAME, {}),
      use("c2", `${TOOL_PREFIX}my_tool`, {}),
    ] as never);
    expect(read(...messages)[1]?.content).toEqual([used("c2", "", true), used("c1"), text("And?")] as never);
  });

  test("with the arguments of a tool whose schema is not that of an object", () => {
    const [turn] = read(calling(call("c1", "list", "[1]")), result("c1"));
    expect(turn?.content[1]).toEqual(use("c1", `${TOOL_PREFIX}list`, { input: [1] }) as never);
  });
});

describe("are texts", () => {
  test.each<[what: string, messages: object[]]>([
    ["when the tool is not offered", [calling(call("c1", "other", "{}")), result("c1")]],
    ["when a result is missing", [calling(call("c1", "weather", "{}"), call("c2", "weather", "{}")), result("c1")]],
    [
      "when the result comes later",
      [calling(call("c1", "weather", "{}")), { role: "user", content: "?" }, result("c1")],
    ],
    ["when a result is of another call", [calling(call("c1", "weather", "{}")), result("c2")]],
    ["when the arguments are no object", [calling(call("c1", "weather", "[]")), result("c1")]],
    ["when the arguments are no JSON", [calling(call("c1", "weather", "{")), result("c1")]],
    [
      "when two calls have one id",
      [calling(call("c1", "weather", "{}"), call("c1", "weather", "{}")), result("c1"), result("c1")],
    ],
    ["when the API would refuse the id", [calling(call("c 1", "weather", "{}")), result("c 1")]],
  ])("%s", (_what, messages) => {
    const types = read(...messages).flatMap(({ content }) => content.map(({ type }) => type));
    expect(new Set(types)).toEqual(new Set(["text"]));
    expect(JSON.stringify(read(...messages))).toContain("[called ");
  });

  test("when no tool is offered", () => {
    const request = parsedRequest({
      messages: [{ role: "user", content: "Well?" }, calling(call("c1", "weather", "{}")), result("c1")],
    });
    expect(JSON.stringify(readDialogue(request))).toContain("[called weather with {}]");
  });
});
