/** On the real claude, with both engines: `response_format` in a conversation. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type OpenAI from "openai";
import { text, toolUse } from "../support/mock-anthropic.ts";
import { answerText, ask, events, say } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

const person = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  properties: { name: { type: "string" }, id: { type: "string", pattern: "(?<=x)(?P<n>[0-9])" } },
  required: ["name"],
};
const asPerson = {
  response_format: { type: "json_schema", json_schema: { name: "person", strict: true, schema: person } },
};
const asObject = { response_format: { type: "json_object" } };
const lookUp = { type: "function", function: { name: "look_up", parameters: { type: "object", properties: {} } } };

describe.each(["interactive", "stream"])("with the engine %s", (engine) => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld({ env: { SYNTHESIS_ENGINE: engine } });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  test("an answer that does not fit is repaired, and the client sees only the valid one", async () => {
    world.mock.on(/a person/, function* () {
      yield text("Of course! The name is Ada.");
    });
    world.mock.on(/cannot be used/, function* () {
      yield text('```json\n{"name":');
      yield text(' "Ada"}\n```');
    });
    const response = await world.server.post(ask("a person", asPerson));
    expect(await answerText(response)).toBe('{"name": "Ada"}');
    expect(response.headers.get("x-synthesis-unchecked")).toBe("pattern at /properties/id");
    expect((await world.mock.request(/a person/)).asked).toContain('"required":["name"]');
    expect((await world.mock.request(/cannot be used/)).asked).toContain("not valid JSON");
  });

  test("the next message is about the format no more, and the history counts as known", async () => {
    const messages = [
      { role: "user", content: "a person" },
      { role: "assistant", content: '{"name": "Ada"}' },
      { role: "user", content: "and now in words" },
    ];
    expect((await say(world.server, "", { messages })).answer).toBe("You said: and now in words");
    expect((await world.mock.request(/in words/)).asked).toMatch(/^<channel [^>]*>\nand now in words\n<\/channel>$/);
  });

  test("Claude may use its own tools and write about it before the answer", async () => {
    world.mock.on(/count the files/, function* ({ toolResults }) {
      yield text(toolResults.length === 0 ? "I look." : '{"files": 1}');
      if (toolResults.length === 0) yield toolUse("Bash", { command: "ls" });
    });
    const response = await world.server.post({ ...ask("count the files", asObject), stream: false });
    const { choices } = (await response.json()) as OpenAI.ChatCompletion;
    expect(choices[0]?.message.content).toBe('{"files": 1}');
  });

  test("calls go out as always, and the text after them is checked", async () => {
    world.mock.on(/look it up/, function* ({ toolResults }) {
      if (toolResults.length === 0) {
        yield text("I look it up.");
        yield toolUse("mcp__plugin_synthesis_chat__look_up", {});
      } else yield text('{"name": 7}');
    });
    world.mock.on(/\/name must be string/, function* () {
      yield text('{"name": "Bob"}');
    });
    const more = { ...asPerson, tools: [lookUp] };
    const chunks = await Array.fromAsync(events(await world.server.post(ask("look it up", more))));
    const deltas = chunks.flatMap((chunk) => (typeof chunk === "object" && "choices" in chunk ? chunk.choices : []));
    const call = deltas.find(({ delta }) => delta.tool_calls)?.delta.tool_calls?.[0];
    expect(deltas.map(({ delta }) => delta.content ?? "").join("")).toBe("I look it up.");
    const messages = [
      { role: "user", content: "look it up" },
      { role: "assistant", content: "I look it up.", tool_calls: [call] },
      { role: "tool", tool_call_id: call?.id, content: "Bob" },
    ];
    expect((await say(world.server, "", { ...more, messages })).answer).toBe('{"name": "Bob"}');
  });

  test("an answer that stays invalid is an error, and the conversation stays usable", async () => {
    world.mock.on(/never fits|cannot be used/, function* () {
      yield text("No.");
    });
    const response = await world.server.post(ask("this never fits", asObject));
    const { error } = (await response.json()) as { error: object };
    expect([response.status, error]).toEqual([
      502,
      expect.objectContaining({ code: "claude_failed", param: "response_format" }),
    ]);
    // Claude learns that the person has not received its answer.
    expect((await say(world.server, "hello again")).answer).toContain("hello again");
  });
});
