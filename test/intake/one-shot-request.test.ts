/** A request as the turns of a dialogue: every message in its place, whatever a client may send. */
import { describe, expect, test } from "bun:test";
import { RequestError } from "../../src/core/errors.ts";
import { readOneShotRequest } from "../../src/intake/one-shot-request.ts";
import { parsedRequest } from "../support/parsed-request.ts";

const read = (messages: object[], more: object = {}) => readOneShotRequest(parsedRequest({ messages, ...more }));
const user = (content: unknown) => ({ role: "user", content });
const assistant = (content: unknown) => ({ role: "assistant", content });
/** One transparent pixel. */
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
/** `u` and `a` with the texts of their blocks. */
const shape = (messages: object[]) =>
  read(messages).turns.map(
    ({ role, content }) =>
      `${role[0]}: ${content.map((block) => (block.type === "text" ? block.text : `<${block.type}>`)).join(" + ")}`,
  );

describe("turns", () => {
  const cases: [what: string, messages: object[], shape: string[]][] = [
    ["one message", [user("one")], ["u: one"]],
    ["user and assistant", [user("one"), assistant("two"), user("three")], ["u: one", "a: two", "u: three"]],
    ["several of one role are one turn", [user("one"), user("two")], ["u: one + two"]],
    ["blank ones are none", [user("one"), assistant(" \n"), user([]), user("two")], ["u: one + two"]],
    [
      "one that begins with the assistant",
      [assistant("one"), user("two")],
      ["u: (The conversation begins with your words.)", "a: one", "u: two"],
    ],
    [
      "a tool's call and result",
      [
        user("one"),
        { ...assistant("two"), tool_calls: [{ id: "x", function: { name: "ls", arguments: "{}" } }] },
        { role: "tool", tool_call_id: "x", content: [{ type: "text", text: "three" }] },
      ],
      ["u: one", "a: two + [called ls with {}]", "u: [result of ls]\nthree"],
    ],
    [
      "an answer that is begun",
      [user("one"), assistant("tw")],
      ["u: one", "a: tw", expect.stringMatching(/^u: Your last message is not finished\. Continue it from exactly/)],
    ],
    ["an empty answer in the place of the next", [user("one"), assistant(null)], ["u: one"]],
    [
      "only a system prompt",
      [{ role: "system", content: "one" }],
      ["u: (There is no message yet. Begin the conversation, as your instructions say.)"],
    ],
    ["an empty message", [user([{ type: "text", text: "" }])], ["u: (The message was empty.)"]],
    ["an empty message and a place for the answer", [user(null), assistant("")], ["u: (The message was empty.)"]],
    [
      "an empty message later",
      [user("one"), assistant("two"), user(" ")],
      ["u: one", "a: two", "u: (The message was empty.)"],
    ],
    [
      "several people, a refusal, calls of older APIs",
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
      "an image that a tool returned, in its result",
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
      "files",
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
    ["a result of nobody knows what", [{ role: "tool", content: "one" }], ["u: [result of a tool]\none"]],
    [
      "images as data URLs",
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
      "an image from elsewhere",
      [user([{ type: "image_url", image_url: { url: "http://x/y.png" } }])],
      "messages[0].content[0].image_url.url",
    ],
    [
      "an image that is none",
      [user([{ type: "image_url", image_url: "data:image/png;base64,aGVsbG8gdGhlcmU=" }])],
      "messages[0].content[0].image_url",
    ],
    ["a sound", [user("one"), user([{ type: "input_audio" }])], "messages[1].content[0]"],
  ];
  test.each(refused)("%s is refused", (_what, messages, param) => {
    const attempt = () => read(messages);
    expect(attempt).toThrow(RequestError);
    expect(attempt).toThrow(expect.objectContaining({ code: "invalid_request", param }));
  });
});

test("an image is of the type that its bytes show, whatever it is said to be", () => {
  const [turn] = read([user([{ type: "image_url", image_url: { url: `data:image/jpeg;base64,${PNG}` } }])]).turns;
  expect(turn?.content).toEqual([{ type: "image", source: { type: "base64", media_type: "image/png", data: PNG } }]);
});

test("the system prompt is all that system and developer say", () => {
  const { system } = read([{ role: "system", content: "one" }, user("x"), { role: "developer", content: "two" }]);
  expect(system).toBe("one\n\ntwo");
});

describe("an answer's format", () => {
  const format = (response_format: object) => read([user("x")], { response_format });

  test("is text, or JSON that is asked for in words", () => {
    expect(read([user("x")]).format).toEqual({ type: "text" });
    expect(format({ type: "text" }).format).toEqual({ type: "text" });
    const object = format({ type: "json_object" });
    expect(object.format).toEqual({ type: "json", schema: null });
    expect(object.system).toContain("JSON object");
  });

  test("is a schema that claude holds to, where its root is an object", () => {
    const schema = { type: "object", properties: {} };
    const held = format({ type: "json_schema", json_schema: { name: "x", schema } });
    expect([held.format, held.system]).toEqual([{ type: "json", schema }, ""]);
    const list = format({ type: "json_schema", json_schema: { name: "x", schema: { type: "array" } } });
    expect(list.format).toEqual({ type: "json", schema: null });
    expect(list.system).toContain('{"type":"array"}');
  });

  test("is refused when it is none", () => {
    expect(() => format({ type: 7 })).toThrow(
      expect.objectContaining({ code: "invalid_request", param: "response_format" }),
    );
  });
});
