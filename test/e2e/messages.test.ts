/** On the real claude: Anthropic's Messages API, with Anthropic's own library. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import { at, control } from "../support/control.ts";
import { apiError, text, toolUse } from "../support/mock-anthropic.ts";
import { createWorld, type World } from "../support/world.ts";

const base = { model: "synthesis-claude-bridge", max_tokens: 1_000 };
const weather: Anthropic.Tool = {
  name: "weather",
  input_schema: { type: "object", properties: { city: { type: "string" } } },
};
const ask = (content: string): Anthropic.MessageParam => ({ role: "user", content });

let world: World;
let client: Anthropic;
beforeAll(async () => {
  world = await createWorld({ env: { SYNTHESIS_ENGINE: "stream" } });
  client = new Anthropic({ baseURL: world.server.url, apiKey: world.server.key, maxRetries: 0 });
  world.mock.on(/the weather/, function* ({ toolResults }) {
    if (toolResults.length > 0) yield text(`It is ${toolResults[0]?.content}.`);
    else yield toolUse("mcp__plugin_synthesis_chat__weather", { city: "Oslo" });
  });
});
afterAll(() => world[Symbol.asyncDispose]());
const as = (user_id: string) => ({ ...base, metadata: { user_id } });

test("a conversation that its user id names goes on over all three APIs, with one claude and nothing sent twice", async () => {
  const { server, mock } = world;
  await server.openai.chat.completions.create({ ...base, user: "me", messages: [{ role: "user", content: "one" }] });
  await server.openai.responses.create({ model: base.model, user: "me", input: "two" });
  const stream = client.messages.stream({ ...as("me"), messages: [ask("three")] });
  expect(await stream.finalText()).toBe("You said: three");
  const { shown } = await mock.request(/three/);
  expect(["one", "two", "three"].map((said) => shown.split(`\n${said}\n`).length - 1)).toEqual([1, 1, 1]);
  expect(await (await control(world, at("user:me"))).json()).toMatchObject({ turns: 3, past_sessions: [] });
  expect(server.log().match(/claude started/g)).toHaveLength(1);
});

test("a tool of the client is called, without a user id too", async () => {
  for (const named of [base, as("tools")]) {
    const request = { ...named, tools: [weather] };
    const question = ask("How is the weather?");
    const first = await client.messages.create({ ...request, messages: [question] });
    const [call] = first.content.filter((block) => block.type === "tool_use");
    expect([first.stop_reason, call?.name, call?.input]).toEqual(["tool_use", "weather", { city: "Oslo" }]);
    const result = { type: "tool_result" as const, tool_use_id: call?.id ?? "", content: "cold" };
    const last = await client.messages.create({
      ...request,
      messages: [question, { role: "assistant", content: first.content }, { role: "user", content: [result] }],
    });
    expect(last.content).toMatchObject([{ type: "text", text: "It is cold." }]);
  }
});

test("a client that disconnects stops the answer", async () => {
  world.mock.on(/wait/, async function* ({ closed }) {
    yield text("begun");
    await closed;
  });
  const stream = client.messages.stream({ ...as("me"), messages: [ask("wait")] });
  stream.on("text", () => stream.abort());
  await expect(stream.finalMessage()).rejects.toBeInstanceOf(Anthropic.APIUserAbortError);
  expect(await (await world.mock.request(/wait/)).closed).toBe("aborted");
});

test("a failure of the model is an error of its own class", async () => {
  world.mock.on(/too fast/, () => [apiError(429, "rate_limit_error", "Slow down.")]);
  const asked = client.messages.create({ ...as("limited"), messages: [ask("too fast")] });
  expect(await asked.catch((error: unknown) => error)).toBeInstanceOf(Anthropic.RateLimitError);
});
