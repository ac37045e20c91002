/** Reading past messages in the many shapes in which clients send them. */
import { describe, expect, test } from "bun:test";
import { pastCalls, resultNames, textOf } from "../../../src/api/openai-chat/past-message.ts";
import { type ChatMessage, chatRequest } from "../../../src/api/openai-chat/request.ts";

const parsed = (...messages: object[]) => chatRequest.parse({ messages }).messages;
const assistant = (fields: object) => parsed({ role: "assistant", ...fields })[0] as ChatMessage;

describe("the text of a message is", () => {
  const cases: [what: string, fields: object, text: string][] = [
    ["its content", { content: "one" }, "one"],
    [
      "the text of its parts",
      {
        content: [
          { type: "text", text: "one" },
          { type: "output_text", text: "two" },
        ],
      },
      "one\ntwo",
    ],
    ["its refusal", { content: null, refusal: "I cannot." }, "I cannot."],
    ["the refusal in a part", { content: [{ type: "refusal", refusal: "I cannot." }] }, "I cannot."],
    ["its content and its refusal", { content: "Well.", refusal: "No." }, "Well.\nNo."],
    ["the transcript of its audio", { content: null, audio: { id: "a1", transcript: "Hello there" } }, "Hello there"],
    ["not its reasoning", { content: "one", reasoning_content: "hmm" }, "one"],
    ["empty when its fields have another shape", { content: null, refusal: { a: 1 }, audio: "x" }, ""],
  ];
  test.each(cases)("%s", (_what, fields, text) => expect(textOf(assistant(fields))).toBe(text));
});

describe("calls are read", () => {
  const cases: [what: string, fields: object, texts: string[]][] = [
    [
      "with arguments as JSON",
      { tool_calls: [{ id: "a", function: { name: "ls", arguments: '{"a":1}' } }] },
      ['ls {"a":1}'],
    ],
    [
      "with arguments as an object, as Ollama's clients send them",
      { tool_calls: [{ function: { name: "ls", arguments: { a: [1, "é"] } } }] },
      ['ls {"a":[1,"é"]}'],
    ],
    ["without arguments", { tool_calls: [{ id: "a", function: { name: "ls" } }] }, ["ls "]],
    [
      "of custom tools",
      { tool_calls: [{ id: "a", type: "custom", custom: { name: "run", input: "ls -l" } }] },
      ["run ls -l"],
    ],
    ["of the older API", { function_call: { name: "ls", arguments: "{}" } }, ["ls {}"]],
    ["but not of any other shape", { tool_calls: [null, 7, { function: {} }, { id: 3 }], function_call: "auto" }, []],
    ["but not from a value that is not a list", { tool_calls: { a: 1 } }, []],
  ];
  test.each(cases)("%s", (_what, fields, texts) =>
    expect(pastCalls(assistant(fields)).map(({ name, arguments: given }) => `${name} ${given}`)).toEqual(texts),
  );

  test("with long arguments cut, and the number of missing characters", () => {
    const given = JSON.stringify({ content: "x".repeat(10_000) });
    const [call] = pastCalls(assistant({ tool_calls: [{ function: { name: "write", arguments: given } }] }));
    expect(call?.arguments.length).toBeLessThan(4_100);
    expect(call?.arguments).toEndWith(`x (${given.length - 4_000} more characters)`);
  });
});

describe("a result gets its tool's name", () => {
  const call = (...named: [id: string | null, name: string][]) => ({
    role: "assistant",
    tool_calls: named.map(([id, name]) => ({ ...(id === null ? {} : { id }), function: { name } })),
  });
  const cases: [what: string, messages: object[], names: (string | undefined)[]][] = [
    [
      "from its call",
      [call(["a", "ls"], ["b", "cat"]), { role: "tool", tool_call_id: "b" }, { role: "tool", tool_call_id: "a" }],
      ["cat", "ls"],
    ],
    [
      "from its call, when the client has rewritten the id",
      [call(["call_1", "ls"]), { role: "tool", tool_call_id: "call1" }],
      ["ls"],
    ],
    [
      "from the last call with its id",
      [call(["0", "ls"]), { role: "tool", tool_call_id: "0" }, call(["0", "cat"]), { role: "tool", tool_call_id: "0" }],
      ["ls", "cat"],
    ],
    [
      "from itself",
      [
        { role: "tool", tool_call_id: "x", name: "ls" },
        { role: "tool", tool_name: "cat" },
        { role: "function", name: "f" },
      ],
      ["ls", "cat", "f"],
    ],
    [
      "from the order of the calls, when it has neither id nor name",
      [call([null, "ls"], [null, "cat"]), { role: "tool" }, { role: "tool" }, { role: "tool" }],
      ["ls", "cat", undefined],
    ],
    ["only if the request says it", [{ role: "tool", tool_call_id: "x" }], [undefined]],
  ];
  test.each(cases)("%s", (_what, messages, names) => {
    const all = parsed(...messages);
    const named = resultNames(all);
    const found = all.flatMap(({ role }, at) => (role === "assistant" ? [] : [named.get(at)]));
    expect(found).toEqual(names);
  });
});
