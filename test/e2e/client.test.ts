/** On the real claude: every documented field of a chat request, sent by OpenAI's own client. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type OpenAI from "openai";
import { APIError } from "openai";
import { createWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

type Body = Omit<OpenAI.ChatCompletionCreateParamsNonStreaming, "messages">;
const ask = (content: string, more: Partial<Body> = {}, stream: Record<string, unknown> = {}) =>
  world.server.openai.chat.completions.create({
    model: "synthesis-claude-bridge",
    user: "client",
    messages: [{ role: "user", content }],
    ...more,
    ...stream,
  }) as Promise<OpenAI.ChatCompletion>;

test("accepts fields that do not apply to Claude Code", async () => {
  const fields: Partial<Body> = {
    frequency_penalty: 0.5,
    function_call: "none",
    functions: [{ name: "f", parameters: { type: "object" } }],
    logit_bias: { "50256": -100 },
    logprobs: true,
    max_completion_tokens: 10,
    max_tokens: 10,
    metadata: { a: "b" },
    modalities: ["text"],
    n: 1,
    parallel_tool_calls: false,
    prediction: { type: "content", content: "x" },
    presence_penalty: 0.5,
    prompt_cache_key: "shared",
    response_format: { type: "text" },
    safety_identifier: "me",
    seed: 1,
    service_tier: "auto",
    stop: ["said"],
    store: true,
    temperature: 0.1,
    tool_choice: "auto",
    tools: [{ type: "function", function: { name: "lookup", parameters: { type: "object" } } }],
    top_logprobs: 2,
    top_p: 0.5,
    verbosity: "low",
    web_search_options: {},
  };
  const answer = await ask("all fields", fields);
  expect(answer.choices[0]?.message.content).toBe("You said: all fields");
});

test("understands every kind of message and part", async () => {
  const answer = await world.server.openai.chat.completions.create({
    model: "synthesis-claude-bridge",
    user: "kinds",
    messages: [
      { role: "developer", content: [{ type: "text", text: "Be developed." }] },
      { role: "system", content: "Be systematic.", name: "sys" },
      { role: "user", content: "one", name: "me" },
      {
        role: "assistant",
        content: [{ type: "refusal", refusal: "No." }],
        tool_calls: [{ id: "c1", type: "function", function: { name: "lookup", arguments: "{}" } }],
      },
      { role: "tool", tool_call_id: "c1", content: [{ type: "text", text: "found" }] },
      { role: "user", content: [{ type: "text", text: "two" }] },
    ],
  });
  expect(answer.choices[0]?.message.content).toEndWith("[lookup returned]\nfound\n\ntwo");
  const { shown } = await world.mock.request(/lookup returned/);
  for (const words of ["Be developed.", "Be systematic.", "User: one", "[called lookup]"])
    expect(shown).toContain(words);
});

const refused: [what: string, more: object, status: number, param: string][] = [
  ["two answers", { n: 2 }, 400, "n"],
  ["audio", { modalities: ["audio"] }, 400, "modalities[0]"],
  ["an unknown model", { model: "gpt-5" }, 404, "model"],
  ["an unknown effort", { reasoning_effort: "huge" }, 400, "reasoning_effort"],
];
test.each(refused)("refuses %s, and names the field", async (_what, more, status, param) => {
  const failed = async () => ask("hello", more);
  await expect(failed()).rejects.toBeInstanceOf(APIError);
  await failed().catch((error: APIError) => expect([error.status, error.param]).toEqual([status, param]));
});
