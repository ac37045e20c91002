/** `/v1/responses` over HTTP, with OpenAI's own library as the client. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import OpenAI from "openai";
import { at, control } from "../support/control.ts";
import { createHttpWorld, type HttpWorld } from "../support/http-world.ts";

let world: HttpWorld;
let client: OpenAI;
beforeAll(async () => {
  world = await createHttpWorld();
  client = new OpenAI({ baseURL: `${world.server.url}/v1`, apiKey: world.server.key, maxRetries: 0 });
});
afterAll(() => world[Symbol.asyncDispose]());

const model = "synthesis-claude-bridge";
const lookup = { type: "function", name: "lookup", parameters: { type: "object" }, strict: false } as const;

describe("a named conversation", () => {
  test("answers a text", async () => {
    const response = await client.responses.create({ model, user: "text", input: "hello" });

    expect(response).toMatchObject({ object: "response", status: "completed", model, output_text: "You said: hello" });
  });

  test("streams the events of an answer in order", async () => {
    const stream = await client.responses.create({ model, user: "stream", input: "hello", stream: true });
    const events = await Array.fromAsync(stream);

    expect(events.map(({ sequence_number }) => sequence_number)).toEqual([...events.keys()]);
    expect(events.map(({ type }) => type).filter((type, at, all) => type !== all[at - 1])).toEqual([
      "response.created",
      "response.in_progress",
      "response.output_item.added",
      "response.content_part.added",
      "response.output_text.delta",
      "response.output_text.done",
      "response.content_part.done",
      "response.output_item.done",
      "response.completed",
    ]);
  });

  test("goes on over chat completions and over responses", async () => {
    await client.responses.create({ model, user: "both", input: "one" });
    await client.chat.completions.create({ model, user: "both", messages: [{ role: "user", content: "two" }] });
    await client.responses.create({ model, user: "both", input: "three" });

    expect(await (await control(world, at("user:both"))).json()).toMatchObject({ turns: 3, past_sessions: [] });
  });

  test("calls the client's functions, and takes their outputs", async () => {
    const input: OpenAI.Responses.ResponseInput = [{ role: "user", content: "call 2" }];
    const first = await client.responses.create({ model, user: "calls", input, tools: [lookup] });
    const calls = first.output.filter((item) => item.type === "function_call");
    expect(calls.map(({ name, arguments: given }) => [name, given])).toEqual([
      ["lookup", '{"index":0}'],
      ["lookup", '{"index":1}'],
    ]);
    input.push(...(first.output as OpenAI.Responses.ResponseInputItem[]));
    for (const [at, { call_id }] of calls.entries()) {
      input.push({ type: "function_call_output", call_id, output: `result ${at}` });
    }

    const second = await client.responses.create({ model, user: "calls", input, tools: [lookup] });

    expect(second.output_text).toBe("You said: result 0|result 1");
  });
});

test("a request without a name is answered from its own items, and finds its process by them", async () => {
  const input: OpenAI.Responses.ResponseInput = [{ role: "user", content: "hello" }];
  const create = async () => {
    const { data, response } = await client.responses.create({ model, store: false, input }).withResponse();
    input.push(...(data.output as OpenAI.Responses.ResponseInputItem[]), { role: "user", content: "again" });
    return [data.output_text, response.headers.get("x-synthesis-process")];
  };

  expect(await create()).toEqual(["You said: hello", "cold"]);
  expect(await create()).toEqual(["You said: again", "warm"]);
});

test("`conversation` names a conversation of its own", async () => {
  const first = await client.responses.create({ model, conversation: { id: "conv_1" }, input: "one" });
  await client.responses.create({ model, conversation: "conv_1", user: "other", input: "two" });

  expect(first.conversation).toEqual({ id: "conv_1" });
  expect(await (await control(world, at("conversation:conv_1"))).json()).toMatchObject({ turns: 2 });
});

describe("previous_response_id", () => {
  const say = (input: string, previous: string | null, more: object = {}): Promise<OpenAI.Responses.Response> =>
    client.responses.create({ model, input, previous_response_id: previous, stream: false, ...more });

  test("continues the conversation of a response without its name", async () => {
    const first = await say("one", null, { conversation: "chain" });
    const second = await say("two", first.id);
    await say("three", second.id);

    expect(second).toMatchObject({ previous_response_id: first.id, output_text: "You said: two" });
    expect(await (await control(world, at("conversation:chain"))).json()).toMatchObject({ turns: 3 });
  });

  test("of an older response tells Claude that the later messages no longer count", async () => {
    const first = await say("one", null, { conversation: "older" });
    const second = await say("two", first.id);
    const other = await say("another two", first.id);

    expect(other.output_text).toContain("taken back their last message");
    expect((await say("three", other.id)).output_text).toBe("You said: three");
    // What no longer counts cannot be continued.
    expect(await say("four", second.id).catch((error) => error)).toMatchObject({ code: "previous_response_not_found" });
  });

  test("takes the outputs of the calls that a response ended with, and goes on after them", async () => {
    const first = await say("call 1", null, { conversation: "outputs", tools: [lookup] });
    const call = first.output.find((item) => item.type === "function_call");
    const input = [{ type: "function_call_output", call_id: call?.call_id ?? "", output: "result" }] as const;
    const second = await client.responses.create({
      model,
      previous_response_id: first.id,
      input: [...input],
      tools: [lookup],
    });

    expect(second.output_text).toBe("You said: result");
    expect(second.id).not.toBe(first.id);
    expect((await say("next", second.id, { tools: [lookup] })).output_text).toBe("You said: next");
  });

  test("is refused for a response that is unknown, or of another conversation", async () => {
    const named = await say("one", null, { conversation: "mine" });
    const refusals = [say("two", "resp_unknown"), say("two", named.id, { user: "other" })];

    for (const refusal of refusals) {
      expect(await refusal.catch((error) => error)).toMatchObject({
        status: 400,
        code: "previous_response_not_found",
        param: "previous_response_id",
      });
    }
  });
});

describe("a conversation without a name", () => {
  type Input = OpenAI.Responses.ResponseInput;
  const create = async (input: string | Input, more: object = {}) => {
    const { data, response } = await client.responses.create({ model, input, stream: false, ...more }).withResponse();
    const [origin, session] = ["process", "session"].map((name) => response.headers.get(`x-synthesis-${name}`));
    return { ...data, origin, session };
  };

  test("goes on by the id of its last response", async () => {
    const first = await create("one");
    const second = await create("two", { previous_response_id: first.id });

    expect([first.origin, second.origin, second.session]).toEqual(["cold", "warm", first.session]);
    expect(first.session).toStartWith("response:");
  });

  test("is kept for no request that says not to store it", async () => {
    const { id } = await create("one", { store: false });
    const refused = await create("two", { previous_response_id: id }).catch((error) => error);

    expect(refused).toMatchObject({ status: 400, code: "previous_response_not_found" });
  });

  test("is found by the items of its answers, and by references to them", async () => {
    const user = (content: string) => ({ role: "user", content }) as const;
    const first = await create("one");
    const second = await create([user("one"), ...(first.output as Input), user("two")]);
    const references = second.output.map(({ id }) => ({ type: "item_reference", id: id as string }) as const);
    const third = await create([user("one"), user("two"), ...references, user("three")]);

    expect([second.output_text, third.output_text]).toEqual(["You said: two", "You said: three"]);
    expect([second, third].map(({ origin, session }) => [origin, session])).toEqual([
      ["warm", first.session],
      ["warm", first.session],
    ]);
  });

  test("is found by a history that is exactly what was said, without ids", async () => {
    const said = (role: "user" | "assistant", content: string) => ({ role, content });
    const first = await create("hello there");
    const history = [said("user", "hello there"), said("assistant", first.output_text)];
    const second = await create([...history, said("user", "two")]);
    const third = await create([
      ...history,
      said("user", "two"),
      said("assistant", second.output_text),
      said("user", "three"),
    ]);
    const other = await create([...history, said("user", "another two")]);

    expect([second.session, third.session]).toEqual([first.session, first.session]);
    expect(other.session).not.toBe(first.session);
  });

  test("is found by the id of a call that waits for its output", async () => {
    const asked = { role: "user", content: "call 1" } as const;
    const first = await create([asked], { tools: [lookup] });
    const calls = first.output.flatMap((item): Input => {
      if (item.type !== "function_call") return [];
      const { type, call_id, name, arguments: given } = item;
      return [
        { type, call_id, name, arguments: given },
        { type: "function_call_output", call_id, output: "result" },
      ];
    });
    const second = await create([asked, ...calls], { tools: [lookup] });

    expect([second.output_text, second.origin, second.session]).toEqual(["You said: result", "warm", first.session]);
  });
});

test("of first requests that nothing has continued, only the newest two keep their process", async () => {
  await using world = await createHttpWorld();
  const create = async (more: object = {}) => {
    const answered = await world.postJson("/v1/responses", { model, input: "hello", ...more });
    const { id } = (await answered.json()) as OpenAI.Responses.Response;
    return { id, key: answered.headers.get("x-synthesis-session") ?? "" };
  };
  const stateOf = async ({ key }: { key: string }) =>
    ((await (await control(world, at(key))).json()) as { state: string }).state;
  const continued = await create();
  await create({ previous_response_id: continued.id });
  const first = [await create(), await create(), await create()] as const;

  while ((await stateOf(first[0])) !== "cold") await Bun.sleep(10);
  expect(await Promise.all([continued, first[1], first[2]].map(stateOf))).toEqual(["idle", "idle", "idle"]);
});

describe("a response by its id", () => {
  test("cannot be read, since no text is stored", async () => {
    const { id } = await client.responses.create({ model, user: "read", input: "one" });

    expect(await client.responses.retrieve(id).catch((error) => error)).toMatchObject({ status: 400 });
    expect(await client.responses.retrieve("resp_1").catch((error) => error)).toMatchObject({ status: 404 });
  });

  test("cannot be continued when it was deleted, and takes its conversation with it when it is the last", async () => {
    const create = (input: string, previous: string | null, more: object = {}) =>
      client.responses
        .create({ model, input, previous_response_id: previous, stream: false, ...more })
        .withResponse()
        .then(({ data, response }) => ({ ...data, key: response.headers.get("x-synthesis-session") ?? "" }));
    const first = await create("one", null);
    const second = await create("two", first.id);
    await client.responses.delete(second.id);
    expect(await create("three", second.id).catch((error) => error)).toMatchObject({
      code: "previous_response_not_found",
    });
    const third = await create("three", first.id);
    expect(third.output_text).toContain("taken back their last message");

    for (const { id } of [first, third]) await client.responses.delete(id);
    expect(await client.responses.delete(third.id).catch((error) => error)).toMatchObject({ status: 404 });
    expect((await control(world, at(first.key))).status).toBe(404);
    const named = await create("one", null, { conversation: "stays" });
    await client.responses.delete(named.id);
    expect(await (await control(world, at("conversation:stays"))).json()).toMatchObject({ turns: 1 });
  });

  test("can be cancelled while it runs, and not after it", async () => {
    const done = await client.responses.create({ model, user: "cancel", input: "one" });
    const calls = await client.responses.create({ model, user: "cancel", input: "call 1", tools: [lookup] });

    expect(await client.responses.cancel(done.id).catch((error) => error)).toMatchObject({ status: 400 });
    expect(await client.responses.cancel(calls.id)).toMatchObject({ id: calls.id, status: "cancelled" });
  });
});

test("a response that waits can be cancelled, and one continued where all requests share a conversation", async () => {
  const env = { SYNTHESIS_SSE_HEARTBEAT_MS: "50", SYNTHESIS_IDENTITY_FALLBACK: "default" };
  await using world = await createHttpWorld({ env });
  const { responses } = world.server.openai;
  const begin = async (input: string) => {
    const stream = await responses.create({ model, user: "waits", input, stream: true });
    const events = stream[Symbol.asyncIterator]();
    const { value } = await events.next();
    return { id: value?.type === "response.created" ? value.response.id : "", events };
  };
  const first = await begin("hang");
  await world.server.logged(/message sent/);
  const second = await begin("two");

  expect(await responses.cancel(second.id)).toMatchObject({ id: second.id, status: "cancelled" });
  const rest = (async () => {
    while (!(await second.events.next()).done);
  })();
  expect(await rest.catch((error) => error)).toBeInstanceOf(OpenAI.APIError);
  expect(await responses.cancel(first.id)).toMatchObject({ status: "cancelled" });
  const next = await responses.create({ model, previous_response_id: first.id, input: "three" });
  expect(next.output_text).toContain("You said: three");
});

describe("errors", () => {
  test.each([
    [{ input: [] }, "input"],
    [
      { input: [{ role: "user", content: [{ type: "input_image", image_url: "https://a/b.png" }] }] },
      "input[0].content[0].image_url",
    ],
    [{ input: [{ type: "computer_call" }] }, "input[0].type"],
    [{ input: [{ type: "item_reference", id: "msg_1" }] }, "input[0].type"],
    [{ input: [{ type: "function_call_output", output: "1" }] }, "input[0].call_id"],
    [{ input: "hi", tools: [{ type: "file_search", vector_store_ids: [] }] }, "tools[0].type"],
    [{ input: "hi", background: true }, "background"],
    [{ input: "hi", reasoning: { effort: "huge" } }, "reasoning.effort"],
    [{ input: "hi", conversation: "conv_1", previous_response_id: "resp_1" }, "previous_response_id"],
  ])("a request that cannot be served is refused by the name of its field: %j", async (body, param) => {
    const refused = await world.postJson("/v1/responses", { model, user: "errors", ...body });

    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ error: { type: "invalid_request_error", param } });
  });

  test("an error of the model is thrown by OpenAI's library as its own exception", async () => {
    const failed = await client.responses.create({ model, user: "fails", input: "fail" }).catch((thrown) => thrown);

    expect(failed).toBeInstanceOf(OpenAI.RateLimitError);
    expect(failed).toMatchObject({ code: "rate_limited" });
  });
});
