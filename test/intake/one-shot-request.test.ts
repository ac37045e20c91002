/** Reading a one-shot: its messages as the turns of a dialogue, and the format of its answer. */
import { describe, expect, test } from "bun:test";
import { RequestError } from "../../src/core/errors.ts";
import { readOneShotRequest } from "../../src/intake/one-shot-request.ts";
import { parsedRequest } from "../support/parsed-request.ts";

const read = (messages: object[], more: object = {}) => readOneShotRequest(parsedRequest({ messages, ...more }));
const user = (content: unknown) => ({ role: "user", content });
const assistant = (content: unknown) => ({ role: "assistant", content });
/** One transparent pixel. */
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
/** Turns in short: `u` or `a`, and the texts of their blocks. */
const shape = (messages: object[]) =>
  read(messages).turns.map(
    ({ role, content }) =>
      `${role[0]}: ${content.map((block) => (block.type === "text" ? block.text : `<${block.type}>`)).join(" + ")}`,
  );

describe("the turns of", () => {
  const cases: [what: string, messages: object[], shape: string[]][] = [
    ["one message", [user("one")], ["u: one"]],
    ["user and assistant", [user("one"), assistant("two"), user("three")], ["u: one", "a: two", "u: three"]],
    ["several messages of one role are one turn", [user("one"), user("two")], ["u: one + two"]],
    ["empty messages are left out", [user("one"), assistant(" \n"), user([]), user("two")], ["u: one + two"]],
    [
      "a dialogue that begins with the assistant get a message in front",
      [assistant("one"), user("two")],
      ["u: (The conversation begins with your words.)", "a: one", "u: two"],
    ],
    [
      "a tool's call and result are texts",
      [
        user("one"),
        { ...assistant("two"), tool_calls: [{ id: "x", function: { name: "ls", arguments: "{}" } }] },
        { role: "tool", tool_call_id: "x", content: [{ type: "text", text: "three" }] },
      ],
      ["u: one", "a: two + [called ls with {}]", "u: [result of ls]\nthree"],
    ],
    [
      "a request with a prefill end with a request to continue",
      [user("one"), assistant("tw")],
      ["u: one", "a: tw", expect.stringMatching(/^u: Your last message is not finished\. Continue it from exactly/)],
    ],
    ["a request with an empty placeholder for the answer", [user("one"), assistant(null)], ["u: one"]],
    [
      "a request with only a system prompt",
      [{ role: "system", content: "one" }],
      ["u: (There is no message yet. Begin the conversation, as your instructions say.)"],
    ],
    ["an empty message", [user([{ type: "text", text: "" }])], ["u: (The message was empty.)"]],
    [
      "an empty message with a placeholder for the answer",
      [user(null), assistant("")],
      ["u: (The message was empty.)"],
    ],
    [
      "a dialogue with an empty message at the end",
      [user("one"), assistant("two"), user(" ")],
      ["u: one", "a: two", "u: (The message was empty.)"],
    ],
    [
      "several people, a refusal, and calls of older APIs",
      [
        { ...user("one"), name: "Ada" },
        { ...assistant(null), refusal: "No." },
        { ...user([{ type: "text", text: "two" }]), name: "Bob" },
        { ...assistant(""), tool_calls: [{ id: "x", function: { name: "ls", arguments: { path: "/" } } }] },
        { role: "tool", tool_call_id: "x", content: "three" },
        { ...assistant(null), function_call: { name: "cat", arguments: '{"a":1}' } },
        { role: "function", name: "cat", content: "four" },
      ],
      [
        "u: Ada: one",
        "a: No.",
        "u: Bob: two",
        'a: [called ls with {"path":"/"}]',
        "u: [result of ls]\nthree",
        'a: [called cat with {"a":1}]',
        "u: [result of cat]\nfour",
      ],
    ],
    [
      "a result with an image that the tool returned",
      [
        user("one"),
        { ...assistant(null), tool_calls: [{ id: "x", function: { name: "shot", arguments: "{}" } }] },
        { role: "tool", tool_call_id: "x", content: "(see attached image)" },
        user([
          { type: "text", text: "Attached image(s) from tool result:" },
          { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } },
        ]),
      ],
      ["u: one", "a: [called shot with {}]", "u: [result of shot]\n(see attached image) + <image>"],
    ],
    [
      "a message with files",
      [
        user([
          { type: "file", file: { filename: "a.pdf", file_data: `data:application/pdf;base64,${btoa("%PDF-1.7 x")}` } },
          { type: "text", text: "one" },
          { type: "input_file", filename: "b.csv", file_data: btoa("x,y") },
          { type: "file", file: { filename: "c.png", file_data: `data:image/png;base64,${PNG}` } },
        ]),
      ],
      ['u: <document> + one + <file name="b.csv">\nx,y\n</file> + <image>'],
    ],
    ["a result of an unknown tool", [{ role: "tool", content: "one" }], ["u: [result of a tool]\none"]],
    [
      "a message with images",
      [
        user([
          { type: "image_url", image_url: `data:image/png;base64,${PNG}` },
          { type: "text", text: "one" },
          { type: "input_image", image_url: `data:image/png;base64,${PNG}` },
          { type: "input_text", text: "two" },
        ]),
      ],
      ["u: <image> + one + <image> + two"],
    ],
  ];
  test.each(cases)("%s", (_what, messages, expected) => {
    expect(shape(messages)).toEqual(expected);
  });

  const refused: [what: string, messages: object[], param: string][] = [
    [
      "an image that must be fetched",
      [user([{ type: "image_url", image_url: { url: "http://x/y.png" } }])],
      "messages[0].content[0].image_url.url",
    ],
    [
      "an image in an unknown format",
      [user([{ type: "image_url", image_url: "data:image/png;base64,aGVsbG8gdGhlcmU=" }])],
      "messages[0].content[0].image_url",
    ],
    ["audio", [user("one"), user([{ type: "input_audio" }])], "messages[1].content[0]"],
  ];
  test.each(refused)("refuses %s", (_what, messages, param) => {
    const attempt = () => read(messages);
    expect(attempt).toThrow(RequestError);
    expect(attempt).toThrow(expect.objectContaining({ code: "invalid_request", param }));
  });
});

test("an image has the type that its bytes show, not the declared one", () => {
  const [turn] = read([user([{ type: "image_url", image_url: { url: `data:image/jpeg;base64,${PNG}` } }])]).turns;
  expect(turn?.content).toEqual([{ type: "image", source: { type: "base64", media_type: "image/png", data: PNG } }]);
});

test("the system prompt is the text of all system and developer messages", () => {
  const { system } = read([{ role: "system", content: "one" }, user("x"), { role: "developer", content: "two" }]);
  expect(system).toBe("one\n\ntwo");
});

describe("an answer's format", () => {
  const format = (response_format: object) => read([user("x")], { response_format });

  test("is text, or JSON that the system prompt asks for", () => {
    expect(read([user("x")]).format).toEqual({ type: "text" });
    expect(format({ type: "text" }).format).toEqual({ type: "text" });
    const object = format({ type: "json_object" });
    expect(object.format).toEqual({ type: "json", schema: null });
    expect(object.system).toContain("JSON object");
  });

  test("has a schema that Claude Code enforces, if its root is an object", () => {
    const schema = { type: "object", properties: {} };
    const enforced = format({ type: "json_schema", json_schema: { name: "x", schema } });
    expect([enforced.format, enforced.claudeSchema, enforced.system]).toEqual([{ type: "json", schema }, schema, ""]);
    const list = format({ type: "json_schema", json_schema: { name: "x", schema: { type: "array" } } });
    expect([list.format, list.claudeSchema]).toEqual([{ type: "json", schema: { type: "array" } }, null]);
    expect(list.system).toContain('{"type":"array"}');
  });

  test("is refused when it has an unknown form", () => {
    expect(() => format({ type: 7 })).toThrow(
      expect.objectContaining({ code: "invalid_request", param: "response_format" }),
    );
  });
});
