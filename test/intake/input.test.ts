/** The new messages of a request, and its history. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { ChatMessage } from "../../src/api/openai-chat/request.ts";
import { historyText } from "../../src/conversation/history-text.ts";
import { inputText } from "../../src/conversation/input-text.ts";
import { RequestError } from "../../src/core/errors.ts";
import { type Input, readInput } from "../../src/intake/input.ts";
import type { NewMessage } from "../../src/intake/new-message.ts";
import { parseRequest } from "../../src/intake/parsed-request.ts";
import {
  ABORTED,
  agentRequest,
  assistant,
  CONTINUE,
  contextMessage,
  type OpenClawOptions,
  QUEUED,
  toolResult,
  user,
  withTimestamp,
} from "../support/openclaw.ts";
import { parsedRequest } from "../support/parsed-request.ts";

const PNG = "data:image/png;base64,iVBORw0KGgo=";
const text = (value: string) => ({ type: "text", text: value });
const image = (url: string) => ({ type: "image_url", image_url: { url } });
const system: ChatMessage = { role: "system", content: "Be kind." };

const readPlain = (messages: readonly ChatMessage[]) => readInput(parsedRequest({ messages }));
const readSent = (messages: readonly ChatMessage[], options?: OpenClawOptions) => {
  const { request, headers } = agentRequest(messages, options);
  return readInput(parseRequest(request, headers));
};
/** Messages in short: the text of a user's, and `callId=text` for a result. */
const short = (messages: readonly NewMessage[]) =>
  messages.map((message) => (message.role === "user" ? message.text : `${message.callId}=${message.text}`));

const rolesAndTexts = (history: Input["history"]) => history.map(({ role, text }) => ({ role, text }));

describe("the new messages of any client", () => {
  const cases: [what: string, messages: ChatMessage[], texts: string[]][] = [
    ["are the first message", [system, user("one")], ["one"]],
    [
      "are all messages behind the last answer",
      [user("old"), assistant("answer"), user("one"), user("two")],
      ["one", "two"],
    ],
    ["may have parts", [user([text("one"), text("two")])], ["one\ntwo"]],
    ["may have parts of the Responses API", [user([{ type: "input_text", text: "one" }])], ["one"]],
    ["are without empty ones", [user(" \n"), user("one"), user([])], ["one"]],
    [
      "may be results",
      [user("do it"), assistant("", ["c1", "exec"], ["c2", "read"]), toolResult("c1", "done"), toolResult("c2", "")],
      ["c1=done", "c2="],
    ],
    [
      "keep their order",
      [user("do it"), assistant("", ["c1", "exec"]), user("wait"), toolResult("c1", "done"), user("well?")],
      ["wait", "c1=done", "well?"],
    ],
    ["may be a result without an id", [{ role: "tool", content: "done" }], ["=done"]],
    ["are without system messages", [assistant("answer"), user("one"), system], ["one"]],
  ];
  test.each(cases)("%s", (_what, messages, texts) => {
    expect(short(readPlain(messages).messages)).toEqual(texts);
  });

  test("name the tool of a result", () => {
    const { messages } = readPlain([user("do it"), assistant("", ["c1", "exec"]), toolResult("c1", "done")]);
    expect(messages).toMatchObject([{ role: "tool", callId: "c1", name: "exec" }]);
    expect(inputText(messages)).toBe("[exec returned]\ndone");
  });

  test("name the person, in a chat of several", () => {
    const { messages } = readPlain([
      { ...user("hello"), name: "Ada" },
      { ...user("hi"), name: " Bob\nB. " },
      user("x"),
    ]);
    expect(inputText(messages)).toBe("Ada: hello\n\nBob B.: hi\n\nx");
    // The fingerprint does not depend on the name.
    expect(readPlain([{ ...user("hello"), name: "Ada" }]).newFingerprints).toEqual(
      readPlain([user("hello")]).newFingerprints as string[],
    );
  });

  test("are one text for Claude, with a blank line between two", () => {
    expect(inputText(readPlain([user("one"), toolResult("c9", "done"), user("two")]).messages)).toBe(
      "one\n\n[a tool returned]\ndone\n\ntwo",
    );
  });

  test("are not read as OpenClaw's when they look like it", () => {
    const quotation = `${QUEUED}\none\n\ntwo`;
    expect(readPlain([user(quotation), user(ABORTED)])).toMatchObject({
      messages: [{ kind: "own", text: quotation }, { text: ABORTED }],
      aborted: false,
    });
  });
});

describe("images", () => {
  test("are decoded with their message", () => {
    const { messages } = readPlain([
      user([text("look"), image(PNG)]),
      user([{ type: "input_image", image_url: PNG }]),
      { role: "tool", tool_call_id: "c1", content: [text("seen"), image(PNG)] },
    ]);
    expect(messages).toMatchObject([
      { text: "look", images: [{ mimeType: "image/png" }] },
      { text: "", images: [{ mimeType: "image/png" }] },
      { text: "seen", images: [{ mimeType: "image/png" }] },
    ]);
    expect(inputText(messages)).toBe("look\n\n[a tool returned]\nseen");
  });

  const refused: [what: string, part: { type: string }, param: string][] = [
    ["one that must be fetched", image("https://example.com/a.png"), "messages[1].content[1].image_url.url"],
    ["one in a file of the server", image("file:///etc/passwd"), "messages[1].content[1].image_url.url"],
    ["an image part without a URL", { type: "image_url" }, "messages[1].content[1]"],
    ["audio", { type: "input_audio" }, "messages[1].content[1]"],
    ["a file part without data", { type: "file" }, "messages[1].content[1]"],
    ["a text part without text", { type: "text" }, "messages[1].content[1]"],
  ];
  test.each(refused)("refuses a new message with %s, and accepts it in the history", (_what, part, param) => {
    const messages = [system, user([text("look"), part])];
    try {
      readPlain(messages);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(RequestError);
      expect(error).toMatchObject({ code: "invalid_request", param });
    }
    // In the history it is not refused.
    expect(readPlain([...messages, assistant("I see"), user("well?")]).messages).toHaveLength(1);
  });
});

describe("a tool's result", () => {
  const result = (...content: { type: string }[]) =>
    readPlain([user("look"), assistant("", ["c1", "t"]), { role: "tool", tool_call_id: "c1", content }]).messages[0];
  const cases: [what: string, part: { type: string }, note: RegExp][] = [
    [
      "an image that must be fetched",
      image("https://example.com/a.png"),
      /image, https:\/\/example\.com\/a\.png: .*data: URL/,
    ],
    ["an image in an unknown format", image("data:image/png;base64,AAAA"), /image, of bytes: Only PNG/],
    ["an image part without a URL", { type: "image_url" }, /image_url\]$/],
    ["audio", { type: "input_audio" }, /input_audio\]$/],
  ];
  test.each(cases)("is never refused, and its text names what is missing: %s", (_what, part, note) => {
    const input = result(text("seen"), part, image(PNG));
    expect(input).toMatchObject({ role: "tool", images: [{ mimeType: "image/png" }] });
    expect(input?.text).toMatch(/^seen\n\[Here was something/);
    expect(input?.text).toMatch(note);
  });

  test("may be empty", () => expect(result()).toMatchObject({ text: "", images: [] }));
});

describe("a request that no message states", () => {
  const cases: [
    what: string,
    messages: ChatMessage[],
    implied: Input["implied"],
    texts: string[],
    history: string[],
  ][] = [
    ["continues an answer", [user("one"), assistant("ans")], { kind: "continue", prefill: "ans" }, ["one"], []],
    [
      "continues a later answer",
      [user("one"), assistant("two"), user("three"), assistant("fo")],
      { kind: "continue", prefill: "fo" },
      ["three"],
      ["one", "two"],
    ],
    [
      "continues the last of two answers",
      [user("one"), assistant("two"), { role: "assistant", content: [text("thr"), text("ee")] }],
      { kind: "continue", prefill: "thr\nee" },
      [],
      ["one", "two"],
    ],
    ["continues a greeting", [system, assistant("Hel")], { kind: "continue", prefill: "Hel" }, [], []],
    ["is not implied by an empty placeholder for the answer", [user("one"), assistant(" ")], null, ["one"], []],
    [
      "continues an answer whose calls have no results",
      [user("one"), assistant("two", ["c1", "look"])],
      { kind: "continue", prefill: "" },
      [],
      ["one", "two\n[called look]"],
    ],
    ["begins the conversation", [system], { kind: "begin" }, [], []],
    [
      "begins the conversation with an empty developer message",
      [system, { role: "developer", content: null }],
      { kind: "begin" },
      [],
      [],
    ],
    ...[" \n ", "", null, [], [text("")], [text(""), text(" \t")]].map(
      (content) =>
        [
          `is empty: ${JSON.stringify(content)}`,
          [user("one"), assistant("two"), user(content)],
          { kind: "empty" },
          [],
          ["one", "two"],
        ] satisfies (typeof cases)[number],
    ),
    ["is empty in the first message", [user("")], { kind: "empty" }, [], []],
    ["is not implied by an empty message beside others", [user(""), user("one"), user(" ")], null, ["one"], []],
  ];
  test.each(cases)("%s", (_what, messages, implied, texts, history) => {
    const input = readPlain(messages);
    expect(input.implied).toEqual(implied);
    expect(short(input.messages)).toEqual(texts);
    expect(input.history.map(({ text }) => text)).toEqual(history);
  });

  const fromOpenClaw: [what: string, messages: ChatMessage[]][] = [
    ["it ends with an answer", [user("one"), assistant("answer")]],
    ["it ends with empty messages", [user("one"), assistant("two"), user(" \n "), user([text("")])]],
  ];
  test.each(fromOpenClaw)("is refused from OpenClaw when %s", (_what, messages) => {
    expect(() => readSent(messages)).toThrow(expect.objectContaining({ code: "invalid_request", param: "messages" }));
  });
});

describe("the new messages of OpenClaw", () => {
  test("are without context messages and the Runtime line", () => {
    const input = readSent([user(withTimestamp("hello")), contextMessage("Events: none")]);
    expect(input).toMatchObject({
      messages: [{ kind: "own", text: withTimestamp("hello") }],
      context: ["Events: none"],
      history: [],
      hasHistory: false,
      isCompacted: false,
      aborted: false,
    });
  });

  test("are without a Runtime line that is a part", () => {
    const input = readSent([user([text(withTimestamp("look")), image(PNG)])], { runtimeLine: "part" });
    expect(input.messages).toMatchObject([{ text: withTimestamp("look"), images: [{ mimeType: "image/png" }] }]);
  });

  const cases: [what: string, messages: ChatMessage[], texts: string[], context: string[]][] = [
    ["are read in a later turn", [user("a"), assistant("b"), user("c"), contextMessage("now")], ["c"], ["now"]],
    [
      "are read behind a context message",
      [user("a"), assistant("b"), contextMessage("now"), user("c")],
      ["c"],
      ["now"],
    ],
    [
      "are read with the results of tools",
      [user("a"), assistant("", ["c1", "exec"]), toolResult("c1", "done"), contextMessage("now")],
      ["c1=done"],
      ["now"],
    ],
    [
      "do not include context messages of earlier turns",
      [user("a"), contextMessage("then"), assistant("b"), user("c")],
      ["c"],
      [],
    ],
    [
      "may come with two context messages",
      [user("c"), contextMessage("one"), contextMessage("two")],
      ["c"],
      ["one", "two"],
    ],
  ];
  test.each(cases)("%s", (_what, messages, texts, context) => {
    const input = readSent(messages);
    expect(short(input.messages)).toEqual(texts);
    expect(input.context).toEqual(context);
  });

  test("are split when OpenClaw repeats a turn", () => {
    const again = readSent([
      user(withTimestamp("hello")),
      user([text(ABORTED)]),
      contextMessage(),
      user(withTimestamp(CONTINUE, 1)),
    ]);
    expect(again).toMatchObject({
      messages: [
        { kind: "own", text: withTimestamp("hello") },
        { kind: "continue", text: withTimestamp(CONTINUE, 1) },
      ],
      aborted: true,
    });
    const quoted = readSent([user("a"), assistant("b"), user(withTimestamp(`${QUEUED}\nhello\n\nwell?`))]);
    expect(quoted).toMatchObject({
      messages: [{ kind: "quoting", text: withTimestamp("hello\n\nwell?") }],
      aborted: false,
    });
  });

  test("do not include the summary of earlier messages", () => {
    const summary = "The conversation history before this point was compacted into the following summary:\n\nx";
    const input = readSent([user(summary), user("c"), contextMessage()]);
    expect(input).toMatchObject({
      messages: [{ text: "c" }],
      history: [{ role: "summary", text: summary }],
      hasHistory: true,
      isCompacted: true,
      historyFingerprints: [],
    });
  });

  test("property: contain the person's text unchanged", () => {
    const noise = fc.string({
      unit: fc.constantFrom("a", "\n", " ", "Runtime: agent=x", "<turn_aborted>", QUEUED, "<<<BEGIN", "[Sun "),
      maxLength: 12,
    });
    fc.assert(
      fc.property(noise, fc.constantFrom("text" as const, "part" as const), fc.boolean(), (one, runtimeLine, later) => {
        const text = withTimestamp(`x${one}x`);
        const before = later ? [user("a"), assistant("b")] : [];
        const input = readSent([...before, user(text), contextMessage()], { runtimeLine });
        expect(short(input.messages)).toEqual([text]);
        const past = readSent([...before, user(text), assistant("b"), user("c")], { runtimeLine });
        expect(rolesAndTexts(past.history)).toContainEqual({ role: "user", text });
      }),
      { numRuns: 1000 },
    );
  });
});

describe("the history", () => {
  test("has all messages before the new ones", () => {
    const input = readSent([
      user([text(withTimestamp("do it")), image(PNG)]),
      contextMessage("then"),
      assistant("I will", ["c1", "exec"], ["c2", "read"]),
      toolResult("c1", "done"),
      user([text(ABORTED)]),
      user(CONTINUE),
      assistant("", ["c3", "write"]),
      toolResult("c3", ""),
      assistant("ready"),
      user("thanks"),
    ]);
    expect(rolesAndTexts(input.history)).toEqual([
      { role: "user", text: `${withTimestamp("do it")}\n[image]` },
      { role: "assistant", text: "I will\n[called exec]\n[called read]" },
      { role: "tool", text: "done" },
      { role: "assistant", text: "[called write]" },
      { role: "assistant", text: "ready" },
    ]);
    expect(input.historyFingerprints).toHaveLength(1);
    expect(short(input.messages)).toEqual(["thanks"]);
  });

  test("names the people and the tools", () => {
    const { history } = readPlain([
      { ...user("hello"), name: "Ada" },
      { ...assistant("", ["c1", "look"]), name: "Bot" },
      toolResult("c1", "seen"),
      { role: "function", name: "count", content: "3" },
      assistant("done"),
      { ...user("thanks"), name: "Bob" },
    ]);
    expect(historyText(history, 1_000)).toBe(
      "[Ada] User: hello\n\n[Bot] Assistant: [called look]\n\n[look] Tool result: seen\n\n[count] Tool result: 3\n\nAssistant: done",
    );
  });

  test("ignores calls in an unknown shape", () => {
    const odd = { role: "assistant", content: null, tool_calls: [{ id: 7 }, "x", null, { function: { name: 7 } }] };
    expect(readInput(parsedRequest({ messages: [odd, user("one")] })).history).toEqual([]);
  });
});

describe("a fingerprint", () => {
  const fingerprintsOf = (...messages: ChatMessage[]) => readSent(messages).newFingerprints;

  test("is the same when the message is history, with or without the Runtime line", () => {
    const first = readSent([user(withTimestamp("hello"))]);
    const second = readSent([user(withTimestamp("hello")), assistant("hi"), user(withTimestamp("more", 1))]);
    const third = readSent([
      user(withTimestamp("hello")),
      assistant("hi"),
      user(withTimestamp("more", 1)),
      assistant("x"),
      user("y"),
    ]);
    expect(second.historyFingerprints).toEqual([...first.newFingerprints]);
    expect(third.historyFingerprints).toEqual([...first.newFingerprints, ...second.newFingerprints]);
  });

  test("does not depend on the timestamp", () => {
    expect(fingerprintsOf(user(withTimestamp("hello", 1)))).toEqual([
      ...fingerprintsOf(user(withTimestamp("hello", 2))),
    ]);
    expect(fingerprintsOf(user(withTimestamp("hello", 1)))).toEqual([...fingerprintsOf(user("hello"))]);
  });

  test("is different for another text and for other images", () => {
    const fingerprints = [
      ...fingerprintsOf(user("hello")),
      ...fingerprintsOf(user("hello!")),
      ...fingerprintsOf(user([text("hello"), image(PNG)])),
      ...fingerprintsOf(user([text("hello"), image(`${PNG}A`)])),
      ...fingerprintsOf(user([image(PNG)])),
    ];
    expect(new Set(fingerprints).size).toBe(5);
    expect(fingerprints.every((fingerprint) => /^[0-9a-f]{16}(\+[0-9a-f]{16})?$/.test(fingerprint))).toBe(true);
  });
});
