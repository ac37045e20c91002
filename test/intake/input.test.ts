/** What is new in a request, and what was said before. */
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
  carrier,
  type OpenClawOptions,
  QUEUED,
  stamp,
  toolResult,
  user,
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
/** In short: words as they are, results as `callId=text`. */
const short = (messages: readonly NewMessage[]) =>
  messages.map((message) => (message.role === "user" ? message.text : `${message.callId}=${message.text}`));

const said = (history: Input["history"]) => history.map(({ role, text }) => ({ role, text }));

describe("what is new for any client", () => {
  const cases: [what: string, messages: ChatMessage[], words: string[]][] = [
    ["is the first message", [system, user("one")], ["one"]],
    ["is what follows the last answer", [user("old"), assistant("answer"), user("one"), user("two")], ["one", "two"]],
    ["may be in parts", [user([text("one"), text("two")])], ["one\ntwo"]],
    ["may come from an older API", [user([{ type: "input_text", text: "one" }])], ["one"]],
    ["has no blanks", [user(" \n"), user("one"), user([])], ["one"]],
    [
      "may be results",
      [user("do it"), assistant("", ["c1", "exec"], ["c2", "read"]), toolResult("c1", "done"), toolResult("c2", "")],
      ["c1=done", "c2="],
    ],
    [
      "keeps its order",
      [user("do it"), assistant("", ["c1", "exec"]), user("wait"), toolResult("c1", "done"), user("well?")],
      ["wait", "c1=done", "well?"],
    ],
    ["may answer a call that is not named", [{ role: "tool", content: "done" }], ["=done"]],
    ["is not a system message behind the answer", [assistant("answer"), user("one"), system], ["one"]],
  ];
  test.each(cases)("%s", (_what, messages, words) => {
    expect(short(readPlain(messages).messages)).toEqual(words);
  });

  test("knows the tool that was called", () => {
    const { messages } = readPlain([user("do it"), assistant("", ["c1", "exec"]), toolResult("c1", "done")]);
    expect(messages).toMatchObject([{ role: "tool", callId: "c1", name: "exec" }]);
    expect(inputText(messages)).toBe("[exec returned]\ndone");
  });

  test("says who of several people speaks", () => {
    const { messages } = readPlain([
      { ...user("hello"), name: "Ada" },
      { ...user("hi"), name: " Bob\nB. " },
      user("x"),
    ]);
    expect(inputText(messages)).toBe("Ada: hello\n\nBob B.: hi\n\nx");
    // The name is no part of the words by which a message is known again.
    expect(readPlain([{ ...user("hello"), name: "Ada" }]).newFingerprints).toEqual(
      readPlain([user("hello")]).newFingerprints as string[],
    );
  });

  test("is one text, a blank line between two", () => {
    expect(inputText(readPlain([user("one"), toolResult("c9", "done"), user("two")]).messages)).toBe(
      "one\n\n[a tool returned]\ndone\n\ntwo",
    );
  });

  test("is not what another client says in OpenClaw's words", () => {
    const words = `${QUEUED}\none\n\ntwo`;
    expect(readPlain([user(words), user(ABORTED)])).toMatchObject({
      messages: [{ kind: "own", text: words }, { text: ABORTED }],
      aborted: false,
    });
  });
});

describe("images", () => {
  test("are kept with their message", () => {
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
    ["an address", image("https://example.com/a.png"), "messages[1].content[1].image_url.url"],
    ["a file", image("file:///etc/passwd"), "messages[1].content[1].image_url.url"],
    ["no image at all", { type: "image_url" }, "messages[1].content[1]"],
    ["sound", { type: "input_audio" }, "messages[1].content[1]"],
    ["a file without bytes", { type: "file" }, "messages[1].content[1]"],
    ["text without text", { type: "text" }, "messages[1].content[1]"],
  ];
  test.each(refused)("are refused: %s", (_what, part, param) => {
    const messages = [system, user([text("look"), part])];
    try {
      readPlain(messages);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(RequestError);
      expect(error).toMatchObject({ code: "invalid_request", param });
    }
    // What was said before is not asked to be understood.
    expect(readPlain([...messages, assistant("I see"), user("well?")]).messages).toHaveLength(1);
  });
});

describe("a tool's result", () => {
  const result = (...content: { type: string }[]) =>
    readPlain([user("look"), assistant("", ["c1", "t"]), { role: "tool", tool_call_id: "c1", content }]).messages[0];
  const cases: [what: string, part: { type: string }, told: RegExp][] = [
    ["an address", image("https://example.com/a.png"), /image, https:\/\/example\.com\/a\.png: .*data: URL/],
    ["no picture", image("data:image/png;base64,AAAA"), /image, of bytes: Only PNG/],
    ["no image at all", { type: "image_url" }, /image_url\]$/],
    ["sound", { type: "input_audio" }, /input_audio\]$/],
  ];
  test.each(cases)("is never refused; of what claude cannot be given it is told: %s", (_what, part, told) => {
    const input = result(text("seen"), part, image(PNG));
    expect(input).toMatchObject({ role: "tool", images: [{ mimeType: "image/png" }] });
    expect(input?.text).toMatch(/^seen\n\[Here was something/);
    expect(input?.text).toMatch(told);
  });

  test("may hold nothing", () => expect(result()).toMatchObject({ text: "", images: [] }));
});

describe("a request without new words of a user", () => {
  const cases: [
    what: string,
    messages: ChatMessage[],
    implied: Input["implied"],
    words: string[],
    history: string[],
  ][] = [
    ["asks to continue an answer", [user("one"), assistant("ans")], { kind: "continue", prefill: "ans" }, ["one"], []],
    [
      "asks to continue a later answer",
      [user("one"), assistant("two"), user("three"), assistant("fo")],
      { kind: "continue", prefill: "fo" },
      ["three"],
      ["one", "two"],
    ],
    [
      "asks to continue the last of two answers",
      [user("one"), assistant("two"), { role: "assistant", content: [text("thr"), text("ee")] }],
      { kind: "continue", prefill: "thr\nee" },
      [],
      ["one", "two"],
    ],
    ["asks to continue a greeting", [system, assistant("Hel")], { kind: "continue", prefill: "Hel" }, [], []],
    ["has an empty answer in the place of the next", [user("one"), assistant(" ")], null, ["one"], []],
    [
      "ends with calls that have no results",
      [user("one"), assistant("two", ["c1", "look"])],
      { kind: "continue", prefill: "" },
      [],
      ["one", "two\n[called look]"],
    ],
    ["asks to begin", [system], { kind: "begin" }, [], []],
    ["asks to begin, twice", [system, { role: "developer", content: null }], { kind: "begin" }, [], []],
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
    ["is empty at the start", [user("")], { kind: "empty" }, [], []],
    ["has an empty message beside others", [user(""), user("one"), user(" ")], null, ["one"], []],
  ];
  test.each(cases)("%s", (_what, messages, implied, words, history) => {
    const input = readPlain(messages);
    expect(input.implied).toEqual(implied);
    expect(short(input.messages)).toEqual(words);
    expect(input.history.map(({ text }) => text)).toEqual(history);
  });

  const fromOpenClaw: [what: string, messages: ChatMessage[]][] = [
    ["an answer", [user("one"), assistant("answer")]],
    ["blanks", [user("one"), assistant("two"), user(" \n "), user([text("")])]],
  ];
  test.each(fromOpenClaw)("is refused when OpenClaw sends it: %s", (_what, messages) => {
    expect(() => readSent(messages)).toThrow(expect.objectContaining({ code: "invalid_request", param: "messages" }));
  });
});

describe("what is new for OpenClaw", () => {
  test("is the user's, without carrier and Runtime line", () => {
    const input = readSent([user(stamp("hello")), carrier("Events: none")]);
    expect(input).toMatchObject({
      messages: [{ kind: "own", text: stamp("hello") }],
      context: ["Events: none"],
      history: [],
      hasHistory: false,
      isCompacted: false,
      aborted: false,
    });
  });

  test("loses a Runtime line that is a part", () => {
    const input = readSent([user([text(stamp("look")), image(PNG)])], { runtimeLine: "part" });
    expect(input.messages).toMatchObject([{ text: stamp("look"), images: [{ mimeType: "image/png" }] }]);
  });

  const cases: [what: string, messages: ChatMessage[], words: string[], context: string[]][] = [
    ["in a later turn", [user("a"), assistant("b"), user("c"), carrier("now")], ["c"], ["now"]],
    ["when it is steered", [user("a"), assistant("b"), carrier("now"), user("c")], ["c"], ["now"]],
    [
      "after a tool",
      [user("a"), assistant("", ["c1", "exec"]), toolResult("c1", "done"), carrier("now")],
      ["c1=done"],
      ["now"],
    ],
    ["without carriers of the past", [user("a"), carrier("then"), assistant("b"), user("c")], ["c"], []],
    ["in two carriers", [user("c"), carrier("one"), carrier("two")], ["c"], ["one", "two"]],
  ];
  test.each(cases)("%s", (_what, messages, words, context) => {
    const input = readSent(messages);
    expect(short(input.messages)).toEqual(words);
    expect(input.context).toEqual(context);
  });

  test("is what was meant when a turn is told again", () => {
    const again = readSent([user(stamp("hello")), user([text(ABORTED)]), carrier(), user(stamp(CONTINUE, 1))]);
    expect(again).toMatchObject({
      messages: [
        { kind: "own", text: stamp("hello") },
        { kind: "continue", text: stamp(CONTINUE, 1) },
      ],
      aborted: true,
    });
    const quoted = readSent([user("a"), assistant("b"), user(stamp(`${QUEUED}\nhello\n\nwell?`))]);
    expect(quoted).toMatchObject({
      messages: [{ kind: "quoting", text: stamp("hello\n\nwell?") }],
      aborted: false,
    });
  });

  test("is not the summary of what came before", () => {
    const summary = "The conversation history before this point was compacted into the following summary:\n\nx";
    const input = readSent([user(summary), user("c"), carrier()]);
    expect(input).toMatchObject({
      messages: [{ text: "c" }],
      history: [{ role: "summary", text: summary }],
      hasHistory: true,
      isCompacted: true,
      historyFingerprints: [],
    });
  });

  test("property: the user's words survive", () => {
    const noise = fc.string({
      unit: fc.constantFrom("a", "\n", " ", "Runtime: agent=x", "<turn_aborted>", QUEUED, "<<<BEGIN", "[Sun "),
      maxLength: 12,
    });
    fc.assert(
      fc.property(noise, fc.constantFrom("text" as const, "part" as const), fc.boolean(), (one, runtimeLine, later) => {
        const words = stamp(`x${one}x`);
        const before = later ? [user("a"), assistant("b")] : [];
        const input = readSent([...before, user(words), carrier()], { runtimeLine });
        expect(short(input.messages)).toEqual([words]);
        const past = readSent([...before, user(words), assistant("b"), user("c")], { runtimeLine });
        expect(said(past.history)).toContainEqual({ role: "user", text: words });
      }),
      { numRuns: 1000 },
    );
  });
});

describe("the history", () => {
  test("is all that was said before", () => {
    const input = readSent([
      user([text(stamp("do it")), image(PNG)]),
      carrier("then"),
      assistant("I will", ["c1", "exec"], ["c2", "read"]),
      toolResult("c1", "done"),
      user([text(ABORTED)]),
      user(CONTINUE),
      assistant("", ["c3", "write"]),
      toolResult("c3", ""),
      assistant("ready"),
      user("thanks"),
    ]);
    expect(said(input.history)).toEqual([
      { role: "user", text: `${stamp("do it")}\n[image]` },
      { role: "assistant", text: "I will\n[called exec]\n[called read]" },
      { role: "tool", text: "done" },
      { role: "assistant", text: "[called write]" },
      { role: "assistant", text: "ready" },
    ]);
    expect(input.historyFingerprints).toHaveLength(1);
    expect(short(input.messages)).toEqual(["thanks"]);
  });

  test("names its speakers and the tools of its results", () => {
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

  test("may hold calls of any shape", () => {
    const odd = { role: "assistant", content: null, tool_calls: [{ id: 7 }, "x", null, { function: { name: 7 } }] };
    expect(readInput(parsedRequest({ messages: [odd, user("one")] })).history).toEqual([]);
  });
});

describe("a fingerprint", () => {
  const fingerprintsOf = (...messages: ChatMessage[]) => readSent(messages).newFingerprints;

  test("is the same when the message is history, with or without the Runtime line", () => {
    const first = readSent([user(stamp("hello"))]);
    const second = readSent([user(stamp("hello")), assistant("hi"), user(stamp("more", 1))]);
    const third = readSent([user(stamp("hello")), assistant("hi"), user(stamp("more", 1)), assistant("x"), user("y")]);
    expect(second.historyFingerprints).toEqual([...first.newFingerprints]);
    expect(third.historyFingerprints).toEqual([...first.newFingerprints, ...second.newFingerprints]);
  });

  test("does not know the time", () => {
    expect(fingerprintsOf(user(stamp("hello", 1)))).toEqual([...fingerprintsOf(user(stamp("hello", 2)))]);
    expect(fingerprintsOf(user(stamp("hello", 1)))).toEqual([...fingerprintsOf(user("hello"))]);
  });

  test("is another for other words and other images", () => {
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
