/** The limits on the size of a request. */
import { describe, expect, test } from "bun:test";
import { checkSize } from "../../../src/api/openai-chat/request-size.ts";

const many = <T>(count: number, item: T): T[] => Array.from({ length: count }, () => item);
const user = (content: unknown) => ({ role: "user", content });

describe("refuses", () => {
  const cases: [what: string, body: object, param: string][] = [
    ["too many messages", { messages: many(5_001, user("a")) }, "messages"],
    ["too many parts", { messages: many(2, user(many(10_001, {}))) }, "messages"],
    ["too many tool calls", { messages: [{ role: "assistant", tool_calls: many(20_001, {}) }] }, "messages"],
    ["too many tools", { tools: many(2_001, {}) }, "tools"],
    ["too many allowed tools", { tool_choice: { allowed_tools: { tools: many(2_001, {}) } } }, "tool_choice"],
    ["too much text", { messages: [user("a".repeat(4_000_001))] }, "messages"],
    ["too long a system prompt", { messages: [{ role: "system", content: "a".repeat(500_001) }] }, "messages"],
    ["too large a schema", { response_format: { schema: "a".repeat(500_001) } }, "response_format"],
  ];
  test.each(cases)("%s", (_what, body, param) => {
    expect(() => checkSize(body)).toThrow(expect.objectContaining({ code: "invalid_request", param }));
  });
});

test("does not count encoded images and files as text", () => {
  const data = "A".repeat(5_000_000);
  const parts = [
    { type: "image_url", image_url: { url: data } },
    { type: "file", file: { file_data: data } },
  ];
  expect(() => checkSize({ messages: [user(parts)] })).not.toThrow();
});

test.each([[null], [7], ["text"], [[]], [{ messages: "none" }]])("leaves %j to the validation", (body) => {
  expect(() => checkSize(body)).not.toThrow();
});
