/** Requests of the Responses API as chat requests. */
import { describe, expect, test } from "bun:test";
import { chatRequest } from "../../../src/api/openai-chat/request.ts";
import { chatForm } from "../../../src/api/openai-responses/chat-form.ts";
import { responsesRequest } from "../../../src/api/openai-responses/request.ts";

const form = (request: object) => chatForm(responsesRequest.parse(request));
const body = (request: object) => JSON.parse(JSON.stringify(chatRequest.parse(form(request).body)));
const messages = (input: unknown) => body({ input }).messages;

describe("input", () => {
  test.each([
    ["a text", "hi", [{ role: "user", content: "hi" }]],
    ["a message without a type", [{ role: "user", content: "hi" }], [{ role: "user", content: "hi" }]],
    [
      "text and an image",
      [
        {
          role: "user",
          content: [
            { type: "input_text", text: "see" },
            { type: "input_image", image_url: "data:," },
          ],
        },
      ],
      [
        {
          role: "user",
          content: [
            { type: "text", text: "see" },
            { type: "input_image", image_url: "data:," },
          ],
        },
      ],
    ],
    [
      "an answer with its calls, without what was thought",
      [
        { type: "reasoning", id: "rs_1", summary: [] },
        { type: "message", role: "assistant", content: [{ type: "output_text", text: "I look.", annotations: [] }] },
        { type: "function_call", call_id: "c1", name: "look", arguments: "{}" },
        { type: "custom_tool_call", call_id: "c2", name: "patch", input: "x" },
        { type: "function_call_output", call_id: "c1", output: "seen" },
        { type: "custom_tool_call_output", call_id: "c2", output: [{ type: "input_text", text: "done" }] },
      ],
      [
        {
          role: "assistant",
          content: "I look.",
          tool_calls: [
            { id: "c1", type: "function", function: { name: "look", arguments: "{}" } },
            { id: "c2", type: "function", function: { name: "patch", arguments: '{"input":"x"}' } },
          ],
        },
        { role: "tool", tool_call_id: "c1", content: "seen" },
        { role: "tool", tool_call_id: "c2", content: [{ type: "text", text: "done" }] },
      ],
    ],
    [
      "a refusal",
      [{ role: "assistant", content: [{ type: "refusal", refusal: "No." }] }],
      [{ role: "assistant", content: "No." }],
    ],
  ])("of %s", (_name, input, wanted) => {
    expect(messages(input)).toEqual(wanted);
  });
});

test("tools of a namespace are named by it, also in past calls", () => {
  const crm = {
    type: "namespace",
    name: "crm",
    tools: [
      { type: "function", name: "look" },
      { type: "custom", name: "note" },
    ],
  };
  const past = { type: "function_call", call_id: "c1", namespace: "crm", name: "look", arguments: "{}" };
  const { tools, messages: said } = body({ input: [past], tools: [crm, { type: "function", name: "look" }] });

  expect(tools.map((tool: { function: { name: string } }) => tool.function.name)).toEqual([
    "crm.look",
    "crm.note",
    "look",
  ]);
  expect(said[0].tool_calls[0].function.name).toBe("crm.look");
  const refused = { type: "namespace", name: "crm", tools: [{ type: "file_search" }] };
  expect(() => body({ input: "hi", tools: [refused] })).toThrow(
    expect.objectContaining({ param: "tools[0].tools[0].type" }),
  );
});

test("options have the names of chat completions", () => {
  const schema = { type: "object" };

  expect(
    body({
      input: "hi",
      instructions: "Be brief.",
      reasoning: { effort: "low" },
      text: { format: { type: "json_schema", name: "r", schema } },
      tools: [{ type: "function", name: "look", parameters: schema }, { type: "web_search" }],
      tool_choice: { type: "function", name: "look" },
    }),
  ).toMatchObject({
    messages: [{ role: "system", content: "Be brief." }, { role: "user" }],
    reasoning_effort: "low",
    response_format: { type: "json_schema", json_schema: { name: "r", schema } },
    tools: [{ type: "function", function: { name: "look", parameters: schema } }],
    tool_choice: { type: "function", function: { name: "look" } },
  });
});

test("allowed tools stay a choice", () => {
  const choice = { type: "allowed_tools", mode: "required", tools: [{ type: "function", name: "look" }] };

  expect(body({ input: "hi", tool_choice: choice }).tool_choice).toEqual({
    type: "allowed_tools",
    allowed_tools: { mode: "required", tools: [{ function: { name: "look" } }] },
  });
});

test.each([
  ["messages[0]", "instructions"],
  ["messages[1].content[2].image_url", "input[0].content[2].image_url"],
  ["messages[2].content[0]", "input[2].content[0]"],
  ["response_format", "text.format"],
  ["model", "model"],
])("the field %s has the name %s", (param, name) => {
  const input = [{ role: "user", content: "hi" }, { type: "reasoning" }, { role: "assistant", content: "ho" }];

  expect(form({ instructions: "Be brief.", input }).fieldName(param)).toBe(name);
});
