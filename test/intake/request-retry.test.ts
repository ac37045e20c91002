/** Which requests are retries: another request sent again, because its answer was lost. */
import { describe, expect, test } from "bun:test";
import { type ChatMessage, type ChatRequest, chatRequest } from "../../src/api/openai-chat/request.ts";
import { pathsFor } from "../../src/config/paths.ts";
import { defaults } from "../../src/config/schema.ts";
import { readInput } from "../../src/intake/input.ts";
import { parseRequest } from "../../src/intake/parsed-request.ts";
import { isRetry, requestFingerprint } from "../../src/intake/request-retry.ts";
import { toolOfferOf } from "../../src/intake/tool-offer.ts";
import {
  ABORTED,
  agentRequest,
  assistant,
  CONTINUE,
  contextMessage,
  QUEUED,
  toolResult,
  user,
  withTimestamp,
} from "../support/openclaw.ts";

const config = defaults(pathsFor("/home/me/.synthesis"));
interface More {
  readonly trace?: string | null;
  readonly model?: string;
  readonly sender?: string;
  readonly tools?: readonly string[];
}
const read = (request: ChatRequest, headers: Headers, { trace = "t", model, sender }: More) => {
  const parsed = parseRequest(request, headers);
  return {
    input: readInput(parsed),
    traceId: trace,
    model: model ?? null,
    effort: null,
    sender: sender ?? null,
    offer: toolOfferOf(parsed, config),
  };
};
const plain = (messages: readonly ChatMessage[], more: More = {}) => {
  const tools = (more.tools ?? ["a"]).map((name) => ({ type: "function", function: { name } }));
  return read(chatRequest.parse({ messages, tools }), new Headers(), more);
};
const openclaw = (messages: readonly ChatMessage[], more: More = {}) => {
  const { request, headers } = agentRequest(messages, { tools: more.tools ?? ["message"] });
  return read(request, headers, more);
};

const image = (data: string): ChatMessage =>
  user([
    { type: "image_url", image_url: { url: `data:image/png;base64,iVBORw0KGgo${data}` } },
  ] as ChatMessage["content"]);
const called = assistant("Let me see.", ["call1", "a"], ["call2", "a"]);
const results = [toolResult("call1", "one"), toolResult("call2", "two")];
const before = [user("hi"), assistant("hello")];

describe("a request of any client", () => {
  const same: [what: string, first: ChatMessage[], again: ChatMessage[]][] = [
    ["the same message", [user("go")], [user("go")]],
    ["the same message behind the same history", [...before, user("go")], [...before, user("go")]],
    ["the same messages", [user("a"), user("b")], [user("a"), user("b")]],
    ["the same image", [image("AAAA")], [image("AAAA")]],
    ["the same results of earlier calls", [user("go"), called, ...results], [user("go"), called, ...results]],
    [
      "the same result, with its id as OpenClaw writes it",
      [user("go"), called, toolResult("call_1", "x")],
      [user("go"), called, toolResult("call1", "x")],
    ],
  ];
  test.each(same)("is a retry with %s", (_what, first, again) => {
    expect(isRetry(plain(again), requestFingerprint(plain(first)))).toBe(true);
    expect(isRetry(plain(again, { trace: null }), requestFingerprint(plain(first, { trace: "other" })))).toBe(true);
  });

  const other: [what: string, first: ChatMessage[], again: ChatMessage[]][] = [
    ["another text", [user("go")], [user("stop")]],
    ["a further message", [user("go")], [user("go"), user("now")]],
    ["fewer messages", [user("a"), user("b")], [user("b")]],
    ["another order", [user("a"), user("b")], [user("b"), user("a")]],
    ["the same text behind the answer", [user("go")], [user("go"), called, user("go")]],
    ["the same text behind an answer without text", [user("go")], [user("go"), assistant(""), user("go")]],
    ["the same text behind another history", [...before, user("go")], [user("hi"), assistant("hey"), user("go")]],
    ["the same text in a chat that was cleared", [...before, user("go")], [user("go")]],
    ["another image", [image("AAAA")], [image("BBBB")]],
    ["results for the calls", [user("go")], [user("go"), called, ...results]],
    [
      "other results",
      [user("go"), called, ...results],
      [user("go"), called, toolResult("call1", "one"), toolResult("call2", "2")],
    ],
    [
      "results of other calls",
      [user("go"), called, ...results],
      [user("go"), called, toolResult("call1", "one"), toolResult("call3", "two")],
    ],
    [
      "results with an error mark",
      [user("go"), called, ...results],
      [user("go"), called, toolResult("call1", "one"), { ...toolResult("call2", "two"), is_error: true }],
    ],
    [
      "the same results and a further message",
      [user("go"), called, ...results],
      [user("go"), called, ...results, user("quick")],
    ],
  ];
  test.each(other)("is not a retry with %s", (_what, first, again) => {
    expect(isRetry(plain(again), requestFingerprint(plain(first)))).toBe(false);
  });

  test("is not a retry from another sender, to another model, or with other tools", () => {
    const first = requestFingerprint(plain([user("go")]));
    expect(isRetry(plain([user("go")], { sender: "bob" }), first)).toBe(false);
    expect(isRetry(plain([user("go")], { model: "opus" }), first)).toBe(false);
    expect(isRetry(plain([user("go")], { tools: ["b"] }), first)).toBe(false);
  });
});

describe("a request of OpenClaw's", () => {
  const go = [...before, user(withTimestamp("go")), contextMessage()];
  const round = [...before, user(withTimestamp("go")), called, ...results, contextMessage()];
  const same: [what: string, first: ChatMessage[], again: ChatMessage[]][] = [
    [
      "has another timestamp and another context message",
      go,
      [...before, user(withTimestamp("go", 3)), contextMessage("Subagents: one")],
    ],
    [
      "asks to continue",
      go,
      [...before, user(withTimestamp("go")), user(ABORTED), contextMessage(), user(withTimestamp(CONTINUE, 1))],
    ],
    [
      "asks to continue in the same message",
      go,
      [...before, user(withTimestamp(`go\n\n${ABORTED}\n\n${CONTINUE}`)), contextMessage()],
    ],
    ["asks to continue behind results", round, [...round, user(ABORTED), user(CONTINUE)]],
    ["quotes the message and asks to continue", go, [...before, user(withTimestamp(`${QUEUED}\ngo\n\n${CONTINUE}`))]],
    ["quotes the message before the same text", go, [...before, user(withTimestamp(`${QUEUED}\ngo\n\ngo`))]],
    ["quotes the message twice", go, [...before, user(withTimestamp(`${QUEUED}\n${QUEUED}\ngo\n\ngo\n\n${CONTINUE}`))]],
  ];
  test.each(same)("is a retry when it %s", (_what, first, again) => {
    expect(isRetry(openclaw(again), requestFingerprint(openclaw(first)))).toBe(true);
  });

  const other: [what: string, first: ChatMessage[], again: ChatMessage[], more: More][] = [
    ["quotes the message before a new text", go, [...before, user(withTimestamp(`${QUEUED}\ngo\n\nwell?`))], {}],
    [
      "quotes the message before the same text in another run",
      go,
      [...before, user(withTimestamp(`${QUEUED}\ngo\n\ngo`))],
      { trace: "u" },
    ],
    [
      "asks to continue another message",
      go,
      [...before, user(withTimestamp("stop")), user(ABORTED), user(CONTINUE)],
      {},
    ],
    ["asks to continue behind an answer", go, [...before, user(withTimestamp("go")), called, user(CONTINUE)], {}],
    ["only asks to continue", go, [...before, user(CONTINUE)], {}],
  ];
  test.each(other)("is not a retry when it %s", (_what, first, again, more) => {
    expect(isRetry(openclaw(again, more), requestFingerprint(openclaw(first)))).toBe(false);
  });

  test("is compared in linear time when it has many quotations", () => {
    const first = requestFingerprint(openclaw([user("a")]));
    expect(isRetry(openclaw([user(`${QUEUED}\n${"a\n\n".repeat(300_000)}b`)]), first)).toBe(false);
  });
});
