/** The error for a body that does not match the schema: it names the field, and says what the field must be. */
import { describe, expect, test } from "bun:test";
import { errorBody } from "../../../src/api/openai-chat/error-response.ts";
import { describeIssue, invalidRequest } from "../../../src/api/openai-chat/invalid-request.ts";
import { chatRequest } from "../../../src/api/openai-chat/request.ts";

const hello = { role: "user", content: "hello" };
const having = (more: object) => ({ messages: [hello], ...more });
const message = (more: object) => ({ messages: [hello, { ...hello, ...more }] });
const tool = (of: object) => having({ tools: [{ type: "function", function: of }] });

describe("names the field and what it must be", () => {
  const cases: [body: unknown, param: string | null, message: string][] = [
    [[], null, "The body must be an object."],
    [{}, "messages", "messages is missing; it must be an array."],
    [{ messages: "hello" }, "messages", "messages must be an array."],
    [{ messages: [] }, "messages", "messages must have at least one message."],
    [{ messages: ["hello"] }, "messages[0]", "messages[0] must be an object."],
    [
      message({ role: undefined }),
      "messages[1].role",
      "messages[1].role is missing; it must be one of system, developer, user, assistant, tool, function.",
    ],
    [
      message({ role: "robot" }),
      "messages[1].role",
      "messages[1].role must be one of system, developer, user, assistant, tool, function.",
    ],
    [message({ content: 5 }), "messages[1].content", "messages[1].content must be a string or an array of parts."],
    [message({ content: ["hello"] }), "messages[1].content[0]", "messages[1].content[0] must be an object."],
    [
      message({ content: [{ type: "text", text: "x" }, { text: "y" }] }),
      "messages[1].content[1].type",
      "messages[1].content[1].type is missing; it must be a string.",
    ],
    [
      message({ content: [{ type: "text", text: 5 }] }),
      "messages[1].content[0].text",
      "messages[1].content[0].text must be a string.",
    ],
    [having({ model: 5 }), "model", "model must be a string."],
    [having({ stream: "yes" }), "stream", "stream must be true or false."],
    [having({ stream_options: true }), "stream_options", "stream_options must be an object."],
    [having({ n: 2 }), "n", "n must be 1: only one answer per request is supported."],
    [having({ modalities: ["audio"] }), "modalities[0]", "modalities[0] must be text: no other modality is supported."],
    [having({ audio: {} }), "audio", "audio must be left out: only text answers are supported."],
    [
      having({ reasoning_effort: "huge" }),
      "reasoning_effort",
      "reasoning_effort must be one of none, minimal, low, medium, high, xhigh, max.",
    ],
    [tool({}), "tools[0].function.name", "tools[0].function.name is missing; it must be a string."],
    [tool({ name: "" }), "tools[0].function.name", "tools[0].function.name must not be empty."],
    [
      tool({ name: "look", parameters: "none" }),
      "tools[0].function.parameters",
      "tools[0].function.parameters must be an object.",
    ],
    [
      having({ tool_choice: "maybe" }),
      "tool_choice",
      "tool_choice must be none, auto, required, or an object that names a tool.",
    ],
    [having({ tool_choice: {} }), "tool_choice.type", "tool_choice.type must be function or allowed_tools."],
    [
      having({ tool_choice: { type: "function", name: "look" } }),
      "tool_choice.type",
      "tool_choice.type names a field that is missing.",
    ],
    [
      having({ tools: [{ type: "function", name: "look" }] }),
      "tools[0].function",
      "tools[0].function is missing; it must be an object with the function's name and parameters.",
    ],
  ];
  test.each(cases)("%j", (body, param, text) => {
    const { error } = chatRequest.safeParse(body, { error: describeIssue });
    expect(error && errorBody(invalidRequest(error)).error).toMatchObject({
      code: "invalid_request",
      param,
      message: text,
    });
  });
});
