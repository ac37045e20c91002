/** What a user is told when claude, its login, its API or its channel does not play along. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI from "openai";
import { apiError, text, toolUse } from "../support/mock-anthropic.ts";
import { ask, events } from "../support/sse.ts";
import { createWorld, type World, type WorldOptions } from "../support/world.ts";

const whole = (content: string, more: object = {}) => ask(content, { stream: false, ...more });

describe("a failing API", () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld();
  });
  afterAll(() => world[Symbol.asyncDispose]());

  test("rate limit: 429, and the next turn works on the same claude", async () => {
    let limited = true;
    world.mock.on(/am I limited/, function* () {
      if (limited) yield apiError(429, "rate_limit_error", "slow down", { "retry-after": "0" });
      else yield text("not any more");
    });
    const refused = await world.server.post(whole("am I limited", { user: "limit" }));
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await refused.json()).toMatchObject({ error: { type: "rate_limit_error", code: "rate_limited" } });
    limited = false;
    const again = await world.server.post(whole("and now, am I limited", { user: "limit" }));
    expect(again.headers.get("x-synthesis-process")).toBe("warm");
    expect(await again.json()).toMatchObject({ choices: [{ message: { content: "not any more" } }] });
  });

  test("a stream that has begun is told of the error in the stream", async () => {
    world.mock.on(/streamed limit/, function* () {
      yield text("It begins\n");
      yield apiError(429, "rate_limit_error", "slow down", { "retry-after": "0" });
    });
    const stream = await Array.fromAsync(events(await world.server.post(ask("streamed limit", { user: "stream" }))));
    expect(stream.slice(-2)).toEqual([
      { error: expect.objectContaining({ code: "rate_limited", type: "rate_limit_error" }) },
      "[DONE]",
    ]);
    const client = world.server.openai.chat.completions.create({
      model: "synthesis-claude-bridge",
      stream: true,
      user: "stream",
      messages: [{ role: "user", content: "streamed limit again" }],
    });
    const read = async () => Array.fromAsync(await client);
    expect(read()).rejects.toBeInstanceOf(OpenAI.APIError);
  });

  test("a rejected login: 503 that says how to log in, never 401", async () => {
    world.mock.on(/who am I/, function* () {
      yield apiError(401, "authentication_error", "invalid x-api-key");
    });
    const answer = await world.server.post(whole("who am I", { user: "auth" }));
    expect(answer.status).toBe(503);
    const { error } = (await answer.json()) as { error: { code: string; message: string } };
    expect(error.code).toBe("claude_not_logged_in");
    expect(error.message).toContain("/login");
  });

  test("a stream of the API that breaks off is completed by claude, and told once", async () => {
    world.mock.on(/break off/, function* ({ body }) {
      yield text("It begins\n");
      if (body.stream) yield apiError(500, "overloaded_error", "Overloaded");
      yield text("and it ends");
    });
    const answer = (await (
      await world.server.post(whole("break off", { user: "break" }))
    ).json()) as OpenAI.ChatCompletion;
    // Sometimes claude shows the rest as a message of its own.
    expect(answer.choices[0]?.message.content).toMatch(/^It begins\n\n?and it ends$/);
  });
});

describe("an error of the model before the answer has begun is the status", () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld();
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const TOO_LONG = "prompt is too long: 210000 tokens > 200000 maximum";
  const faults: [what: string, status: number, type: string, message: string, expected: [number, string]][] = [
    ["limit", 429, "rate_limit_error", "slow down", [429, "rate_limited"]],
    ["overload", 529, "overloaded_error", "Overloaded", [503, "overloaded"]],
    ["fault", 500, "api_error", "Internal server error", [502, "claude_failed"]],
    ["bad request", 400, "invalid_request_error", "messages.3: no", [400, "invalid_request"]],
    ["long prompt", 400, "invalid_request_error", TOO_LONG, [400, "context_length_exceeded"]],
    ["large request", 413, "request_too_large", "Request exceeds the maximum size", [400, "context_length_exceeded"]],
    ["missing model", 404, "not_found_error", "model: claude-opus-5-5", [404, "model_not_found"]],
    ["empty account", 400, "invalid_request_error", "Your credit balance is too low", [400, "billing_error"]],
    ["payment", 402, "billing_error", "Payment required", [400, "billing_error"]],
  ];
  for (const stream of [true, false]) {
    test.each(faults)(`a %s (%d), stream: ${stream}`, async (what, status, type, message, expected) => {
      world.mock.on(new RegExp(`status of a ${what}`), function* () {
        yield apiError(status, type, message, { "retry-after": "0" });
      });
      const response = await world.server.post(ask(`status of a ${what}`, { stream, user: `${what} ${stream}` }));
      const { error } = (await response.json()) as { error: { code: string; param: string | null } };
      expect([response.status, error.code]).toEqual(expected);
      expect(response.headers.has("retry-after")).toBe(expected[0] === 429 || expected[0] === 503);
      expect(error.param).toBe(expected[1] === "context_length_exceeded" ? "messages" : null);
    });
  }

  test("a stream opens with the first tool use, also where progress is not shown", async () => {
    await using quiet = await createWorld({ env: { SYNTHESIS_PROGRESS: "off" } });
    const gate = Promise.withResolvers<void>();
    quiet.mock.on(/a silent tool/, async function* ({ toolResults }) {
      if (toolResults.length > 0) {
        await gate.promise;
        yield text("done");
      } else yield toolUse("Bash", { command: "true", description: "Nothing" });
    });
    const response = await quiet.server.post(ask("a silent tool"));
    gate.resolve();
    expect(response.status).toBe(200);
    expect(await response.text()).toContain("done");
  });

  test.each([true, false])("once a tool has run it is none that a client retries; stream: %p", async (stream) => {
    world.mock.on(/work and fail/, function* ({ toolResults }) {
      if (toolResults.length > 0) yield apiError(529, "overloaded_error", "Overloaded");
      else yield toolUse("Bash", { command: "true", description: "Nothing" });
    });
    const response = await world.server.post(ask("work and fail", { stream, user: `work ${stream}` }));
    if (stream) {
      const [error] = (await Array.fromAsync(events(response))).slice(-2);
      expect(error).toMatchObject({ error: { code: "overloaded", message: expect.stringContaining("already run") } });
      return;
    }
    expect([response.status, response.headers.get("x-should-retry")]).toEqual([400, "false"]);
    expect(response.headers.has("retry-after")).toBe(false);
    expect(await response.json()).toMatchObject({
      error: { code: "overloaded", message: expect.stringContaining("already run") },
    });
  });

  test("OpenClaw gets it as text, since it would do the work again", async () => {
    world.mock.on(/fail for OpenClaw/, function* () {
      yield apiError(529, "overloaded_error", "Overloaded");
    });
    for (const stream of [true, false]) {
      const session = { "x-openclaw-session-key": `agent:main:${stream}` };
      const response = await world.server.post(ask("fail for OpenClaw", { stream }), session);
      expect(response.status).toBe(200);
      expect(await response.text()).toMatch(/\[synthesis: Claude's API is overloaded.*"finish_reason":"stop"/s);
    }
  });
});

describe("claude's own retries, where the user has not set them", () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld({ retries: "default" });
  });
  afterAll(() => world[Symbol.asyncDispose]());
  const users = ["me", undefined];

  test("get over a fault that passes", async () => {
    for (const user of users) {
      let failed = 0;
      world.mock.on(/a passing fault/, function* () {
        if (failed++ < 2) yield apiError(529, "overloaded_error", "Overloaded");
        else yield text("there");
      });
      const response = await world.server.post(whole("a passing fault", { user }));
      expect(await response.json()).toMatchObject({ choices: [{ message: { content: "there" } }] });
    }
  });

  test("end when the fault does not pass, or claude would wait for long", async () => {
    world.mock.on(/a lasting fault/, function* () {
      yield apiError(529, "overloaded_error", "Overloaded");
    });
    let limited = 0;
    world.mock.on(/a long wait/, function* () {
      limited += 1;
      yield apiError(429, "rate_limit_error", "slow down", { "retry-after": "45" });
    });
    for (const user of users) {
      const lasting = await world.server.post(ask("a lasting fault", { user }));
      expect(lasting.status).toBe(503);
      limited = 0;
      const wait = await world.server.post(ask("a long wait", { user }));
      expect([wait.status, limited]).toEqual([429, 1]);
      expect(Number(wait.headers.get("retry-after"))).toBeGreaterThanOrEqual(user === undefined ? 45 : 1);
    }
    // Of the wait nothing is left: the next message is answered.
    const next = await world.server.post(whole("hello"));
    expect(await next.json()).toMatchObject({ choices: [{ message: { content: "You said: hello" } }] });
  });
});

test("a plan's limit: Retry-After is the time until the window's reset", async () => {
  await using world = await createWorld({
    loggedIn: false,
    prepare: ({ home }) => {
      const login = {
        accessToken: "sk-ant-oat01-test",
        refreshToken: "sk-ant-ort01-test",
        expiresAt: Date.now() + 8 * 3_600_000,
        scopes: ["user:inference", "user:profile"],
        subscriptionType: "max",
      };
      mkdirSync(join(home, ".claude"));
      writeFileSync(join(home, ".claude/.credentials.json"), JSON.stringify({ claudeAiOauth: login }));
    },
  });
  for (const [claim, seconds] of [
    ["five_hour", 5_000],
    ["seven_day", 300_000],
  ] as const) {
    world.mock.on(new RegExp(`limit ${claim}`), function* () {
      const reset = Math.floor(Date.now() / 1000) + seconds;
      yield apiError(429, "rate_limit_error", "This request would exceed your account's rate limit.", {
        "retry-after": `${seconds}`,
        "anthropic-ratelimit-unified-status": "rejected",
        "anthropic-ratelimit-unified-reset": `${reset}`,
        "anthropic-ratelimit-unified-representative-claim": claim,
      });
    });
    for (const user of ["me", undefined]) {
      const response = await world.server.post(ask(`limit ${claim}`, { user }));
      expect(response.status).toBe(429);
      const after = Number(response.headers.get("retry-after"));
      expect(after).toBeGreaterThan(seconds - 60);
      expect(after).toBeLessThanOrEqual(seconds);
    }
  }
  const next = await world.server.post(whole("hello"));
  expect(next.headers.get("x-synthesis-process")).toBe("resumed");
  expect(await next.json()).toMatchObject({ choices: [{ message: { content: "You said: hello" } }] });
});

interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  /** How many requests OpenAI's own client sends, with its default of two retries, before it gives the error up. */
  readonly attempts: number;
}

/** A server that cannot answer; the error of the first request, as OpenAI's own client gets it. */
async function refused({ user = "default", ...options }: WorldOptions & { user?: string }): Promise<Refusal> {
  await using world = await createWorld(options);
  let attempts = 0;
  let lastBody = "";
  const counting = async (input: string | URL | Request, init?: RequestInit) => {
    attempts += 1;
    const response = await fetch(input, init);
    lastBody = await response.clone().text();
    return response;
  };
  const { url, key } = world.server;
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, fetch: counting });
  const asked = (async () =>
    client.chat.completions.create({
      model: "synthesis-claude-bridge",
      stream: true,
      messages: [{ role: "user", content: "hello" }],
      ...(user === "" ? {} : { user }),
    }))();
  const failure: unknown = await asked.then(
    () => null,
    (error) => error,
  );
  if (!(failure instanceof OpenAI.APIError)) throw new Error(`no error came, but ${lastBody}`);
  const { error } = JSON.parse(lastBody) as { error: { code: string; message: string } };
  return { status: failure.status ?? 0, ...error, attempts };
}

describe("a claude that cannot answer", () => {
  test.each(["default", ""])("is not logged in (user %p): the client hears so at once", async (user) => {
    const { status, code, message, attempts } = await refused({ loggedIn: false, user });
    expect([status, code, attempts]).toEqual([503, "claude_not_logged_in", 1]);
    expect(message).toContain("/login");
  });

  test("refuses the channel", async () => {
    const { status, code, message, attempts } = await refused({ channels: false });
    expect([status, code, attempts]).toEqual([503, "channel_refused", 1]);
    expect(message).toContain("channels feature is not currently available");
    expect(message).toContain("DISABLE_TELEMETRY");
  });

  test("has never been set up", async () => {
    const { status, code, message, attempts } = await refused({
      prepare: ({ home }) => {
        writeFileSync(join(home, ".claude.json"), "{}");
      },
    });
    expect([status, code, attempts]).toEqual([503, "claude_not_ready", 1]);
    // With a network it would show its onboarding; without one it says that it cannot.
    expect(message).toMatch(/Unable to connect to Anthropic services|Run `claude` once in a terminal/);
  });

  test.each(["default", ""])("is not there (user %p)", async (user) => {
    const { status, code, message, attempts } = await refused({
      env: { SYNTHESIS_CLAUDE_BIN: "/nowhere/claude" },
      user,
    });
    expect([status, code, attempts]).toEqual([503, "claude_not_found", 1]);
    expect(message).toContain("SYNTHESIS_CLAUDE_BIN");
  });

  test.each(["default", ""])("ends at once (user %p)", async (user) => {
    const { status, code, message, attempts } = await refused({ env: { SYNTHESIS_CLAUDE_BIN: "/bin/false" }, user });
    expect([status, code, attempts]).toEqual([503, "claude_not_ready", 1]);
    expect(message).toContain("exit code 1");
  });

  /** A program in claude's place that shows something and is never ready. */
  const showing = async (screen: string) => {
    const folder = mkdtempSync(join(tmpdir(), "synthesis-test-"));
    const mute = join(folder, "claude");
    writeFileSync(mute, `#!/bin/sh\ncat <<'END'\n${screen}\nEND\nexec sleep 60\n`, { mode: 0o755 });
    await using world = await createWorld({
      standIn: true,
      env: { SYNTHESIS_CLAUDE_BIN: mute, SYNTHESIS_READY_TIMEOUT_MS: "500" },
    });
    const answer = await world.server.post(ask("hello"));
    rmSync(folder, { recursive: true });
    const { error } = (await answer.json()) as { error: { code: string; message: string } };
    return { answer, error, log: world.server.log() };
  };
  const rule = "─".repeat(100);

  test.each([
    "What a strange question: yes or no?",
    `${rule}\n Choose your favourite colour\n\n ❯ 1. Red\n   2. Blue`,
    " Something new has come.\n\n Press any key to go on",
    " Our terms have changed\n\n Enter to confirm · Esc to exit",
  ])("asks something unknown: %p", async (screen) => {
    const { answer, error, log } = await showing(`The first line\n${"filler\n".repeat(12)}${screen}`);
    expect([answer.status, error.code]).toEqual([503, "claude_not_ready"]);
    expect([answer.headers.get("retry-after"), answer.headers.get("x-should-retry")]).toEqual([null, "false"]);
    expect(error.message).toContain("not ready after 500 ms");
    expect(error.message).toContain("Run `claude` once in /");
    expect(error.message).not.toContain("SYNTHESIS_READY_TIMEOUT_MS");
    for (const line of ["The first line", ...screen.split("\n")]) expect(error.message).toContain(line.trim());
    // What is on the screen may have been said in the conversation.
    expect(log).not.toContain("The first line");
  });

  test.each([
    "Starting",
    `Here is what I saw:\n ❯ 1. Yes\n Enter to confirm\n${rule}\n❯ \n${rule}\n  manual mode on · ? for shortcuts`,
  ])("does not get ready in time: %p", async (screen) => {
    const { answer, error } = await showing(screen);
    expect([answer.status, error.code]).toEqual([503, "claude_not_ready"]);
    expect([answer.headers.get("retry-after"), answer.headers.get("x-should-retry")]).toEqual(["30", null]);
    expect(error.message).toContain("not ready after 500 ms");
    expect(error.message).toContain("SYNTHESIS_READY_TIMEOUT_MS gives it more time");
  });
});
