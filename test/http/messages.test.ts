/** `/v1/messages` over HTTP, with Anthropic's own library as the client. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import { at, control } from "../support/control.ts";
import { createHttpWorld, type HttpWorld } from "../support/http-world.ts";

let world: HttpWorld;
let client: Anthropic;
const clientWith = (apiKey: string) => new Anthropic({ baseURL: world.server.url, apiKey, maxRetries: 0 });
beforeAll(async () => {
  world = await createHttpWorld();
  client = clientWith(world.server.key);
});
afterAll(() => world[Symbol.asyncDispose]());

const base = { model: "synthesis-claude-bridge", max_tokens: 1_000 };
const ask = (content: string): Anthropic.MessageParam[] => [{ role: "user", content }];
const as = (user_id: string) => ({ ...base, metadata: { user_id } });
const look: Anthropic.Tool = { name: "look", input_schema: { type: "object" } };

test("answers a text, in the conversation that the user id names", async () => {
  const sent = client.messages.create({ ...as("text"), messages: ask("hello") });
  const { data, response, request_id } = await sent.withResponse();
  expect(data).toMatchObject({
    type: "message",
    model: base.model,
    content: [{ type: "text", text: "You said: hello" }],
    stop_reason: "end_turn",
  });
  expect(request_id).toBe(response.headers.get("x-request-id"));
  expect(response.headers.get("x-synthesis-session")).toBe("user:text");
});

test("streams a text, and its last event has the usage", async () => {
  const stream = client.messages.stream({ ...as("stream"), messages: ask("hello") });
  let text = "";
  stream.on("text", (delta) => {
    text += delta;
  });
  const message = await stream.finalMessage();
  expect([text, message.content]).toEqual(["You said: hello", [expect.objectContaining({ text })]]);
  expect(message.usage.output_tokens).toBeGreaterThan(0);
});

test("calls the client's tools, and takes their results", async () => {
  const first = await client.messages.create({ ...as("tools"), tools: [look], messages: ask("call 2") });
  const calls = first.content.filter((block) => block.type === "tool_use");
  expect([first.stop_reason, calls.map(({ name, input }) => [name, input])]).toEqual([
    "tool_use",
    [
      ["look", { index: 0 }],
      ["look", { index: 1 }],
    ],
  ]);
  const results = calls.map(
    ({ id }, index): Anthropic.ToolResultBlockParam => ({
      type: "tool_result",
      tool_use_id: id,
      content: `result ${index}`,
    }),
  );
  const messages: Anthropic.MessageParam[] = [
    ...ask("call 2"),
    { role: "assistant", content: first.content },
    { role: "user", content: results },
  ];
  const last = await client.messages.create({ ...as("tools"), tools: [look], messages });
  expect(last.content).toMatchObject([{ type: "text", text: "You said: result 0|result 1" }]);
});

test("a conversation goes on over all three APIs, with one process and nothing sent twice", async () => {
  const first = await world.postJson("/v1/chat/completions", { user: "all", messages: ask("one") });
  const second = await world.postJson("/v1/responses", { user: "all", input: "two" });
  const third = await client.messages.create({ ...as("all"), messages: ask("three") }).asResponse();
  expect([first, second, third].map(({ headers }) => headers.get("x-synthesis-process"))).toEqual([
    "cold",
    "warm",
    "warm",
  ]);
  expect(await (await control(world, at("user:all"))).json()).toMatchObject({ turns: 3, past_sessions: [] });
});

test("counts tokens, roughly", async () => {
  const { input_tokens } = await client.messages.countTokens({ model: base.model, messages: ask("x".repeat(3_500)) });
  expect(input_tokens).toBeWithin(1_000, 1_020);
});

test("lists the models in the form of Anthropic's API, with their sizes", async () => {
  const { data } = await client.models.list();
  expect(data[0]).toMatchObject({ type: "model", id: base.model, max_input_tokens: 200_000, max_tokens: 32_000 });
  expect(await client.models.retrieve("opus[1m]")).toMatchObject({ id: "opus[1m]", max_input_tokens: 1_000_000 });
  expect(await (await world.request("/v1/models/opus")).json()).toMatchObject({
    object: "model",
    context_window: 200_000,
  });
});

describe("an error has its own class:", () => {
  const send = (more: object, key = world.server.key) =>
    clientWith(key).messages.create({
      ...as("errors"),
      messages: ask("x"),
      ...more,
    } as Anthropic.MessageCreateParamsNonStreaming);
  const cases: [what: string, send: () => Promise<unknown>, kind: unknown, message: RegExp][] = [
    ["a wrong key", () => send({}, "sk-wrong"), Anthropic.AuthenticationError, /API key is missing or wrong/],
    ["an unknown model", () => send({ model: "gpt-99" }), Anthropic.NotFoundError, /no model gpt-99/],
    ["no messages", () => send({ messages: [] }), Anthropic.BadRequestError, /messages must have at least one/],
    [
      "an image by URL",
      () =>
        send({
          messages: [{ role: "user", content: [{ type: "image", source: { type: "url", url: "https://a/b.png" } }] }],
        }),
      Anthropic.BadRequestError,
      /does not fetch images/,
    ],
    [
      "a user id with a line feed",
      () => send({ metadata: { user_id: "a\nb" } }),
      Anthropic.BadRequestError,
      /metadata\.user_id must be 1 to 256/,
    ],
  ];
  test.each(cases)("%s", async (_what, send, kind, message) => {
    const error = await send().catch((error: unknown) => error);
    expect(error).toBeInstanceOf(kind as typeof Error);
    expect((error as Error).message).toMatch(message);
    expect((error as InstanceType<typeof Anthropic.APIError>).error).toMatchObject({
      type: "error",
      error: { type: expect.any(String), code: expect.any(String) },
    });
  });

  test("a path or a method that does not exist", async () => {
    for (const [path, method, status] of [
      ["/v1/messages/none", "POST", 404],
      ["/v1/messages", "GET", 405],
      ["/messages/batches", "GET", 404],
    ] as const) {
      const response = await world.request(path, { method });
      expect([path, response.status, await response.json()]).toMatchObject([path, status, { type: "error" }]);
    }
  });
});

test.each([
  ["/v1/embeddings", /makes no embeddings.*memorySearch/],
  ["/v1/completions", /POST \/v1\/chat\/completions/],
  ["/v1/audio/speech", /no audio/],
  ["/v1/audio/transcriptions", /no audio/],
  ["/v1/images/generations", /makes no images/],
])("%s says what to use instead", async (path, advice) => {
  const response = await world.postJson(path, { model: "x", input: "y" });
  const body = (await response.json()) as { error: { code: string; message: string } };
  expect([response.status, body.error.code]).toEqual([404, "unknown_url"]);
  expect(body.error.message).toMatch(advice);
});
