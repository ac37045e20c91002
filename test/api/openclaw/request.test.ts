/** Recognising a request of OpenClaw's, and its side requests. */
import { describe, expect, test } from "bun:test";
import { chatRequest, systemText } from "../../../src/api/openai-chat/request.ts";
import { readOpenClaw } from "../../../src/api/openclaw/request.ts";
import {
  agentRequest,
  contextMessage,
  type Sent,
  systemPrompt,
  user,
  utilityRequest,
  withTimestamp,
} from "../../support/openclaw.ts";

const read = ({ request, headers }: Sent) => readOpenClaw(request, headers, systemText(request));
const hello = [user(withTimestamp("hello")), contextMessage()];
const plain = (messages: unknown, headers: Record<string, string> = {}, tools: readonly unknown[] = []): Sent => ({
  request: chatRequest.parse({ messages, tools }),
  headers: new Headers({ "user-agent": "OpenAI/JS 7.15.0", ...headers }),
});
const internal = (run: string) => `agent:main:internal-session-effects:${run}`;

describe("a request is OpenClaw's", () => {
  const cases: [what: string, sent: Sent, isOpenClaw: boolean][] = [
    ["by its system prompt", agentRequest(hello), true],
    ["by a header of our plugin", plain([user("hello")], { "X-OpenClaw-Turn-Id": "1" }), true],
    ["by a system prompt that only OpenClaw sends", utilityRequest("Generate a concise session title.", "hello"), true],
    ["not by its user agent", plain([user("hello")]), false],
    [
      "not by a marker that is not at the beginning",
      plain([{ role: "system", content: `Hi. ${systemPrompt()}` }, user("x")]),
      false,
    ],
    ["not by a marker in a user message", plain([user(systemPrompt())]), false],
  ];
  test.each(cases)("%s", (_what, sent, isOpenClaw) => {
    expect(read(sent) !== null).toBe(isOpenClaw);
  });
});

describe("the Runtime line", () => {
  test("is read, and so is the working directory", () => {
    expect(read(agentRequest(hello, { workspace: "/srv/work" }))).toMatchObject({
      side: null,
      runtime: { agent: "main", session: "agent:main:main", repo: "/srv/work" },
      workingDirectory: "/srv/work",
    });
  });
  test("is ignored without OpenClaw's system prompt", () => {
    const { request } = agentRequest(hello);
    const messages = request.messages.filter(({ role }) => role === "user");
    expect(read(plain(messages, { "x-openclaw-run-id": "1" }))?.runtime).toBeNull();
  });
  test("is ignored in later user messages", () => {
    const second = agentRequest([user("mine")]).request.messages.at(-1);
    expect(read(agentRequest([user("hello"), second ?? user("")], { runtimeLine: "none" }))?.runtime).toBeNull();
  });
});

describe("the side request is", () => {
  const flush = [
    ...hello,
    user(withTimestamp("Pre-compaction memory flush. Write down what lasts.")),
    contextMessage(),
  ];
  const cases: [what: string, sent: Sent, side: object | null][] = [
    ["none, for a turn", agentRequest(hello), null],
    ["none, for a turn of a subagent", agentRequest(hello, { session: "agent:main:subagent:1" }), null],
    [
      "none, for a heartbeat",
      agentRequest([user("Follow the heartbeat monitor scratch context when provided.")]),
      null,
    ],
    ["none, for the report of a subagent", agentRequest([user("A background task completed. Use its result.")]), null],
    [
      "none, for a person who asks about memory flushes",
      agentRequest([user(withTimestamp("Pre-compaction memory flush: what is it?"))]),
      null,
    ],
    [
      "none, for another client that wants a title",
      plain([{ role: "system", content: "Make a title." }, user("hello")]),
      null,
    ],
    [
      "none, for an agent with tools that makes titles",
      plain([{ role: "system", content: "Generate a concise session title." }, user("hello")], {}, [
        { type: "function", function: { name: "look" } },
      ]),
      null,
    ],
    [
      "none, for an agent whose own prompt asks it to make titles",
      plain([{ role: "system", content: "Be kind. Generate a concise session title." }, user("hello")]),
      null,
    ],
    [
      "a title",
      utilityRequest("Generate a concise session title (3-6 words).", "hello"),
      { kind: "title", needsTools: false },
    ],
    ["a topic", utilityRequest("Generate a very short topic label.", "hello"), { kind: "title", needsTools: false }],
    [
      "a summary",
      utilityRequest("You are a context summarization assistant.", "<conversation>", { session_id: "s" }),
      { kind: "compaction", needsTools: false },
    ],
    [
      "any other completion that our plugin marks",
      utilityRequest("Describe the sticker.", "hello", { "x-openclaw-kind": "simple-completion" }),
      { kind: "other", needsTools: false },
    ],
    [
      "a review of a command",
      utilityRequest("You are OpenClaw's exec safety reviewer. Be strict.", "ls"),
      { kind: "other", needsTools: false },
    ],
    [
      "a memory flush",
      agentRequest(flush, { session: internal("3f-1"), tools: ["read", "write"] }),
      { kind: "memory-flush", needsTools: true },
    ],
    [
      "a memory flush of a hidden session that a header names",
      agentRequest(flush, { headers: { "x-openclaw-session-key": internal("incognito-3f-1") } }),
      { kind: "memory-flush", needsTools: true },
    ],
    [
      "a memory flush, when our plugin names the conversation that it is about",
      agentRequest(flush, { session: internal("3f-1"), headers: { "x-openclaw-session-key": "agent:main:main" } }),
      { kind: "memory-flush", needsTools: true, session: internal("3f-1") },
    ],
    [
      "a skill review",
      agentRequest(hello, { session: internal("skill-workshop-review_1-2") }),
      { kind: "skill-review", needsTools: true },
    ],
    [
      "a skill review of a hidden session",
      agentRequest(hello, { session: internal("incognito-skill-workshop-review_1-2") }),
      { kind: "skill-review", needsTools: true },
    ],
    [
      "a question beside the conversation",
      agentRequest(hello, { session: internal("session-companion-1"), tools: [] }),
      { kind: "other", needsTools: false },
    ],
  ];
  test.each(cases)("%s", (_what, sent, side) => {
    expect(read(sent)?.side ?? null).toEqual((side && expect.objectContaining(side)) as never);
  });
});
