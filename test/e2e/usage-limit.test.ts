/**
 * On the real claude, with each engine: Anthropic rejects a message because a window of the plan is used up, and further
 * messages for it are refused before they are sent.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import OpenAI from "openai";
import { limitReached, planHeaders, text, toolUse } from "../support/mock-anthropic.ts";
import { ask, events } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

const SECONDS = 5_000;

/** Unix time in seconds. */
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;

const LOOK = {
  type: "function",
  function: { name: "look", parameters: { type: "object", properties: {} } },
};

describe.each(["interactive", "stream"])("with the engine %s", (engine) => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld({ plan: true, env: { SYNTHESIS_ENGINE: engine } });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  /** The status and code of the error, and how many model requests the message caused. */
  async function outcome(content: string, more: object = {}) {
    const response = await world.server.post(ask(content, { stream: false, ...more }));
    const { error } = (await response.json()) as { error?: { code: string; type: string } };
    const requests = world.mock.requests.filter(({ shown }) => shown.includes(content)).length;
    return { response, error, requests };
  }
  /** A request with the tool of the client, and what was said after the message. */
  const withTool = (user: string | undefined, content: string, ...after: object[]) =>
    ask(content, { user, model: "sonnet", tools: [LOOK], messages: [{ role: "user", content }, ...after] });

  test("a limit of one model refuses only that model, and the plan's limit refuses every new message", async () => {
    world.mock.on(/look around/, function* ({ toolResults }) {
      if (toolResults.length > 0) yield text("I have looked");
      else yield toolUse("mcp__plugin_synthesis_chat__look", {});
    });
    // A limit that is only reported as used up, because the account pays for more.
    const used = { used: 1, resetsAt: inSeconds(SECONDS) };
    world.mock.sendHeaders(planHeaders({ "5h": used, "7d": used }, "allowed"));
    const chunks = await Array.fromAsync(events(await world.server.post(withTool("worker", "look around"))));
    const calls = chunks.flatMap((chunk) => {
      const { choices } = chunk as { choices?: { delta: { tool_calls?: { id: string }[] } }[] };
      return choices?.[0]?.delta.tool_calls ?? [];
    });
    expect(calls).toHaveLength(1);
    expect((await fetch(`${world.server.url}/ready`)).status).toBe(200);
    world.mock.sendHeaders({});

    world.mock.on(/the best model/, function* () {
      yield limitReached("seven_day_opus", inSeconds(SECONDS), {
        "anthropic-ratelimit-unified-overage-status": "rejected",
      });
    });
    const first = await outcome("the best model", { model: "opus" });
    expect([first.response.status, first.error]).toEqual([
      429,
      expect.objectContaining({ code: "usage_limit_reached", type: "rate_limit_error" }),
    ]);
    const after = Number(first.response.headers.get("retry-after"));
    expect(after).toBeGreaterThan(SECONDS - 60);
    expect(after).toBeLessThanOrEqual(SECONDS);
    // OpenAI's client would retry within seconds, because it does not wait for so long.
    expect(first.response.headers.get("x-should-retry")).toBe("false");
    const again = await outcome("the same model", { model: "claude-opus-5-5", user: "other" });
    expect([again.error?.code, again.requests]).toEqual(["usage_limit_reached", 0]);
    expect((await outcome("another model", { model: "sonnet", user: undefined })).error).toBeUndefined();

    world.mock.on(/any model/, function* () {
      yield limitReached("five_hour", inSeconds(SECONDS));
    });
    expect((await outcome("any model", { user: undefined })).error?.code).toBe("usage_limit_reached");
    const refused = [
      await outcome("a new conversation", { user: "new" }),
      await outcome("a one-shot", { user: undefined, model: "haiku", response_format: { type: "json_object" } }),
      await outcome("an unnamed chat", { user: undefined, model: "haiku", tools: [LOOK] }),
      await outcome("a conversation with a process", { user: "worker2", model: "sonnet" }),
    ];
    expect(refused.map(({ error, requests }) => [error?.code, requests])).toEqual(
      refused.map(() => ["usage_limit_reached", 0]),
    );

    // OpenAI's client does not retry. By default it would twice, after some seconds.
    let attempts = 0;
    const counting = (input: string | URL | Request, init?: RequestInit) => {
      attempts += 1;
      return fetch(input, init);
    };
    const { url, key: apiKey } = world.server;
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, fetch: counting });
    const asked = client.chat.completions.create({ model: "haiku", messages: [{ role: "user", content: "hello" }] });
    expect(await asked.catch((error) => error)).toBeInstanceOf(OpenAI.RateLimitError);
    expect(attempts).toBe(1);

    const ready = await fetch(`${world.server.url}/ready`);
    expect([ready.status, await ready.json()]).toEqual([
      503,
      { ready: false, reason: "usage_limit_reached", window: "five_hour", resets_at: expect.any(Number) },
    ]);
    const { rejections } = (await (await fetch(`${world.server.url}/health`)).json()) as { rejections: object[] };
    expect(rejections).toEqual([
      { window: "seven_day_opus", models: ["opus"], resets_at: expect.any(Number) },
      { window: "five_hour", models: [null], resets_at: expect.any(Number) },
    ]);

    // The turn that waits for its client goes on: what Claude has done is not lost.
    const called = { role: "assistant", content: null, tool_calls: calls };
    const result = { role: "tool", tool_call_id: calls[0]?.id, content: "nothing there" };
    const answer = await (await world.server.post(withTool("worker", "look around", called, result))).text();
    expect(answer).toContain("I have looked");
  });
});

test("a message is sent again after the reset", async () => {
  await using soon = await createWorld({ plan: true, env: { SYNTHESIS_ENGINE: "stream" } });
  soon.mock.on(/until soon/, function* () {
    yield limitReached("five_hour", inSeconds(2));
  });
  expect((await soon.server.post(ask("until soon"))).status).toBe(429);
  // On a slow machine, the reset may have passed when the error arrives.
  while (!(await fetch(`${soon.server.url}/ready`)).ok) await Bun.sleep(50);
  const answer = await soon.server.post(ask("and now?", { stream: false }));
  expect(await answer.json()).toMatchObject({ choices: [{ message: { content: "You said: and now?" } }] });
});
