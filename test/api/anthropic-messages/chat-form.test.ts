/** Requests of Anthropic's Messages API in the form of chat completions. */
import { describe, expect, test } from "bun:test";
import type Anthropic from "@anthropic-ai/sdk";
import { chatForm } from "../../../src/api/anthropic-messages/chat-form.ts";
import { messagesRequest } from "../../../src/api/anthropic-messages/request.ts";
import { estimateTokens } from "../../../src/api/anthropic-messages/token-count.ts";
import { RequestError } from "../../../src/core/errors.ts";

type Request = Partial<Anthropic.MessageCreateParams>;
const hello: Anthropic.MessageParam = { role: "user", content: "hello" };
const form = (request: Request) => chatForm(messagesRequest.parse({ messages: [hello], ...request }));
const messagesOf = (...messages: Anthropic.MessageParam[]) => form({ messages }).body.messages;
const user = (...content: Anthropic.ContentBlockParam[]): Anthropic.MessageParam => ({ role: "user", content });

describe("messages", () => {
  test("keep their texts and roles, with the system prompt before them", () => {
    const { messages } = form({
      system: [
        { type: "text", text: "Be brief." },
        { type: "text", text: "Be kind.", cache_control: { type: "ephemeral" } },
      ],
      messages: [hello, { role: "assistant", content: [{ type: "text", text: "Hi." }] }, hello],
    }).body;
    expect(messages).toEqual([
      { role: "system", content: "Be brief.\n\nBe kind." },
      { role: "user", content: "hello" },
      { role: "assistant", content: "Hi." },
      { role: "user", content: "hello" },
    ] as never);
  });

  test("give images and documents as data: URLs", () => {
    const source = { type: "base64", media_type: "image/png", data: "aGk=" } as const;
    const [message] = messagesOf(
      user(
        { type: "text", text: "Look:" },
        { type: "image", source },
        {
          type: "document",
          title: "a.pdf",
          source: { type: "base64", media_type: "application/pdf", data: "JVBERg==" },
        },
        { type: "document", source: { type: "text", media_type: "text/plain", data: "hi" } },
        { type: "document", source: { type: "content", content: [{ type: "text", text: "inside" }] } },
      ),
    );
    expect(message?.content).toEqual([
      { type: "text", text: "Look:" },
      { type: "image_url", image_url: { url: "data:image/png;base64,aGk=" } },
      { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,JVBERg==" } },
      { type: "file", file: { filename: "document.txt", file_data: "data:text/plain;base64,aGk=" } },
      { type: "text", text: "inside" },
    ] as never);
  });

  test("have calls in the answer, and results before what the person says", () => {
    const call = { type: "tool_use", id: "t1", name: "look", input: { at: 1 } } as const;
    const messages = messagesOf(
      hello,
      { role: "assistant", content: [{ type: "thinking", thinking: "…", signature: "" }, call] },
      user(
        { type: "text", text: "Go on." },
        { type: "tool_result", tool_use_id: "t1", content: [{ type: "text", text: "seen" }] },
        { type: "tool_result", tool_use_id: "t2", content: "broken", is_error: true },
      ),
    );
    expect(messages.slice(1)).toEqual([
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "t1", type: "function", function: { name: "look", arguments: '{"at":1}' } }],
      },
      { role: "tool", tool_call_id: "t1", content: [{ type: "text", text: "seen" }] },
      { role: "tool", tool_call_id: "t2", content: "broken", is_error: true },
      { role: "user", content: "Go on." },
    ] as never);
  });
});

test.each<[what: string, content: unknown]>([
  ["nothing", null],
  ["a number as a text", [{ type: "text", text: 5 }]],
  ["an image without a source", [{ type: "image", source: null }]],
])("a document whose content is %s is refused", (_what, content) => {
  const document = { type: "document", source: { type: "content", content } } as unknown as Anthropic.ContentBlockParam;
  expect(() => messagesOf(user(document))).toThrow(RequestError);
});

test("a message without blocks stays a message", () => {
  expect(messagesOf(user())).toEqual([{ role: "user", content: [] }] as never);
});

const look = { name: "look", description: "Looks.", input_schema: { type: "object" as const } };

describe("tools", () => {
  test("become functions; those of Anthropic's servers are left out", () => {
    const { tools } = form({ tools: [look, { type: "web_search_20260209", name: "web_search" }] }).body;
    expect(tools).toEqual([
      { type: "function", function: { name: "look", description: "Looks.", parameters: { type: "object" } } },
    ]);
  });

  test("that only Claude's own API knows are refused", () => {
    const send = () => form({ tools: [look, { type: "bash_20250124", name: "bash" }] });
    expect(send).toThrow(RequestError);
    expect(send).toThrow("tools[1].type must be custom");
  });

  test.each<[choice: Anthropic.ToolChoice, chat: unknown, parallel: boolean | undefined]>([
    [{ type: "auto" }, "auto", undefined],
    [{ type: "any", disable_parallel_tool_use: true }, "required", false],
    [{ type: "none" }, "none", undefined],
    [{ type: "tool", name: "look" }, { type: "function", function: { name: "look" } }, undefined],
  ])("are chosen: %p", (tool_choice, chat, parallel) => {
    const { body } = form({ tools: [look], tool_choice });
    expect([body.tool_choice, body.parallel_tool_calls]).toEqual([chat as never, parallel]);
  });
});

test("user, effort and format have their fields of chat completions", () => {
  const schema = { type: "object", properties: {} };
  const { body } = form({
    metadata: { user_id: "me" },
    output_config: { effort: "high", format: { type: "json_schema", schema } },
  });
  expect(body).toMatchObject({
    user: "me",
    reasoning_effort: "high",
    response_format: { type: "json_schema", json_schema: { schema } },
  });
});

test.each([
  ["messages[0].content", "system"],
  ["messages[1].content", "messages[0].content"],
  ["messages[2].tool_call_id", "messages[1].tool_call_id"],
  ["messages[3].content[0].image_url.url", "messages[1].content"],
  ["user", "metadata.user_id"],
  ["response_format", "output_config.format"],
  ["model", "model"],
])("an error about %s names %s", (param, name) => {
  const result = { type: "tool_result", tool_use_id: "t1", content: "x" } as const;
  const { fieldName } = form({ system: "s", messages: [hello, user(result, { type: "text", text: "go on" })] });
  expect(fieldName(param)).toBe(name);
});

test.each<[what: string, request: object]>([
  ["no messages", { messages: [] }],
  ["an unknown role", { messages: [{ role: "robot", content: "x" }] }],
  ["a call without an id", { messages: [{ role: "assistant", content: [{ type: "tool_use", name: "a" }] }] }],
  ["a result without an id", { messages: [{ role: "user", content: [{ type: "tool_result", content: "x" }] }] }],
  ["a tool without a name", { messages: [hello], tools: [{ input_schema: {} }] }],
  ["a choice without a name", { messages: [hello], tool_choice: { type: "tool" } }],
])("%s is refused", (_what, request) => {
  expect(messagesRequest.safeParse(request).success).toBe(false);
});

test("tokens are estimated from the characters, and images by the piece", () => {
  const count = (request: Request) => estimateTokens(messagesRequest.parse({ messages: [hello], ...request }));
  const image: Anthropic.ContentBlockParam = {
    type: "image",
    source: { type: "base64", media_type: "image/png", data: "x".repeat(9_000) },
  };
  const text = count({});
  expect(text).toBeGreaterThan(1);
  expect(count({ messages: [{ role: "user", content: "x".repeat(3_500) }] }) - text).toBeWithin(990, 1_010);
  expect(count({ messages: [hello, user(image)] })).toBeWithin(1_600, 1_620);
  expect(count({ tools: [look] })).toBeGreaterThan(text);
});
