/** What every step after parsing finds in a request. */
import { describe, expect, test } from "bun:test";
import { messageText } from "../../src/api/openai-chat/request.ts";
import { parseRequest } from "../../src/intake/parsed-request.ts";
import { agentRequest, assistant, contextMessage, toolResult, user, withTimestamp } from "../support/openclaw.ts";
import { parsedRequest } from "../support/parsed-request.ts";

describe("a request of any client", () => {
  test("keeps the system prompt apart from the messages, and each message's index", () => {
    const { system, systemPrompt, messages } = parsedRequest({
      messages: [{ role: "system", content: "Be kind." }, user("one"), { role: "developer", content: "Be brief." }],
    });
    expect(system).toBe("Be kind.\n\nBe brief.");
    expect(systemPrompt).toEqual({ stable: system, volatile: "" });
    expect(messages).toMatchObject([{ role: "user", index: 1, parts: [{ kind: "text", text: "one" }] }]);
  });

  test("names the tool of a result", () => {
    const { messages } = parsedRequest({ messages: [assistant("", ["c1", "exec"]), toolResult("c1", "done")] });
    expect(messages).toMatchObject([{ toolName: null }, { role: "tool", toolName: "exec" }]);
  });

  test("offers functions of the older API as tools", () => {
    const { body, usesFunctions, messages } = parsedRequest({
      messages: [user("one"), { role: "function", name: "f", content: "1" }],
      functions: [{ name: "f" }],
    });
    expect(usesFunctions).toBe(true);
    expect(body.tools).toEqual([{ type: "function", function: { name: "f" } }]);
    expect(messages).toMatchObject([{ role: "user" }, { role: "tool", toolName: "f" }]);
  });

  test("is split before the answer that the client has begun", () => {
    const { messages, messagesBeforePrefill, prefill } = parsedRequest({ messages: [user("one"), assistant("tw")] });
    expect(messages).toHaveLength(2);
    expect(messagesBeforePrefill).toMatchObject([{ role: "user" }]);
    expect(prefill).toBe("tw");
  });
});

test("a request of OpenClaw's loses its Runtime line, and its context messages are marked", () => {
  const { request, headers } = agentRequest([user(withTimestamp("hello")), contextMessage("Events: none")]);
  const { openclaw, systemPrompt, messages } = parseRequest(request, headers);
  expect(openclaw?.runtime).toMatchObject({ agent: "main" });
  expect(systemPrompt.stable).toContain("You are a helper");
  expect(systemPrompt.volatile).toContain("Current date");
  expect(messages.map(({ message, context }) => [messageText(message), context])).toEqual([
    [withTimestamp("hello"), null],
    [expect.stringContaining("Events: none"), "Events: none"],
  ]);
});
