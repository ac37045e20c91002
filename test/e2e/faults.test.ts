/** On the real claude: the error that a client gets when claude, its login, its API or its channel fails. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI from "openai";
import { apiError, text, toolUse } from "../support/mock-anthropic.ts";
import { ask, events } from "../support/sse.ts";
import { createWorld, type World, type WorldOptions } from "../support/world.ts";

/** The body of a request that is answered with one JSON object. */
const unstreamed = (content: string, more: object = {}) => ask(content, { stream: false, ...more });

describe("when the API fails", () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld();
  });
  afterAll(() => world[Symbol.asyncDispose]());

  test("a rate limit is 429, and the same claude answers the next turn", async () => {
    let limited = true;
    world.mock.on(/am I limited/, function* () {
      if (limited) yield apiError(429, "rate_limit_error", "slow down", { "retry-after": "0" });
      else yield text("not any more");
    });
    const refused = await world.server.post(unstreamed("am I limited"));
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await refused.json()).toMatchObject({ error: { type: "rate_limit_error", code: "rate_limited" } });
    limited = false;
    const again = await world.server.post(unstreamed("and now, am I limited"));
    expect(again.headers.get("x-synthesis-process")).toBe("warm");
    expect(await again.json()).toMatchObject({ choices: [{ message: { content: "not any more" } }] });
  });

  test("a stream that has begun ends with the error", async () => {
    world.mock.on(/streamed limit/, function* () {
      yield text("It begins\n");
      yield apiError(429, "rate_limit_error", "slow down", { "retry-after": "0" });
    });
    const stream = await Array.fromAsync(events(await world.server.post(ask("streamed limit"))));
    expect(stream.slice(-2)).toEqual([
      { error: expect.objectContaining({ code: "rate_limited", type: "rate_limit_error" }) },
      "[DONE]",
    ]);
    const client = world.server.openai.chat.completions.create({
      model: "synthesis-claude-bridge",
      stream: true,
      user: "me",
      messages: [{ role: "user", content: "streamed limit again" }],
    });
    const read = async () => Array.fromAsync(await client);
    await expect(read()).rejects.toBeInstanceOf(OpenAI.APIError);
  });

  test("claude completes a stream of the API that breaks off, and the client gets its text once", async () => {
    world.mock.on(/break off/, function* ({ body }) {
      yield text("It begins\n");
      if (body.stream) yield apiError(500, "overloaded_error", "Overloaded");
      yield text("and it ends");
    });
    const answer = (await (await world.server.post(unstreamed("break off"))).json()) as OpenAI.ChatCompletion;
    // Sometimes claude shows the rest as a second message.
    expect(answer.choices[0]?.message.content).toMatch(/^It begins\n\n?and it ends$/);
  });

  test("a rejected login is 503, says how to log in, and shows on /health until the next answer", async () => {
    const login = async () => ((await (await fetch(`${world.server.url}/health`)).json()) as { login: string }).login;
    let isExpired = true;
    world.mock.on(/who am I/, function* () {
      if (isExpired) yield apiError(401, "authentication_error", "invalid x-api-key");
      else yield text("you");
    });
    expect(await login()).toBe("ok");
    // Never 401: an OpenAI client would take its own key for the wrong one.
    const answer = await world.server.post(unstreamed("who am I"));
    expect(answer.status).toBe(503);
    const { error } = (await answer.json()) as { error: { code: string; message: string } };
    expect(error.code).toBe("claude_not_logged_in");
    expect(error.message).toContain("/login");
    expect(await login()).toBe("expired");
    isExpired = false;
    expect((await world.server.post(unstreamed("and now, who am I"))).status).toBe(200);
    expect(await login()).toBe("ok");
  });
});

describe("an API error before the answer has begun", () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld({ env: { SYNTHESIS_PROGRESS: "off" } });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const TOO_LONG = "prompt is too long: 210000 tokens > 200000 maximum";
  const faults: [
    what: string,
    status: number,
    type: string,
    message: string,
    expected: [status: number, code: string],
  ][] = [
    ["rate limit", 429, "rate_limit_error", "slow down", [429, "rate_limited"]],
    ["overload", 529, "overloaded_error", "Overloaded", [503, "overloaded"]],
    ["server error", 500, "api_error", "Internal server error", [502, "claude_failed"]],
    ["bad request", 400, "invalid_request_error", "messages.3: no", [400, "invalid_request"]],
    ["long prompt", 400, "invalid_request_error", TOO_LONG, [400, "context_length_exceeded"]],
    ["large request", 413, "request_too_large", "Request exceeds the maximum size", [400, "context_length_exceeded"]],
    ["missing model", 404, "not_found_error", "model: claude-opus-5-5", [404, "model_not_found"]],
    ["used-up balance", 400, "invalid_request_error", "Your credit balance is too low", [400, "billing_error"]],
    ["missing payment", 402, "billing_error", "Payment required", [400, "billing_error"]],
  ];
  test.each(faults)("is the HTTP status: %s (%d)", async (what, status, type, message, expected) => {
    world.mock.on(new RegExp(`status of a ${what}`), function* () {
      yield apiError(status, type, message, { "retry-after": "0" });
    });
    for (const stream of status === 429 ? [true, false] : [true]) {
      const response = await world.server.post(ask(`status of a ${what}, stream: ${stream}`, { stream }));
      const { error } = (await response.json()) as { error: { code: string; param: string | null } };
      expect([response.status, error.code]).toEqual(expected);
      expect(response.headers.has("retry-after")).toBe(expected[0] === 429 || expected[0] === 503);
      expect(error.param).toBe(expected[1] === "context_length_exceeded" ? "messages" : null);
    }
  });

  test("cannot be the status once a tool has started: the stream opens, also without progress", async () => {
    const gate = Promise.withResolvers<void>();
    world.mock.on(/a silent tool/, async function* ({ toolResults }) {
      if (toolResults.length > 0) {
        await gate.promise;
        yield text("done");
      } else yield toolUse("Bash", { command: "true", description: "Nothing" });
    });
    const response = await world.server.post(ask("a silent tool"));
    gate.resolve();
    expect(response.status).toBe(200);
    expect(await response.text()).toContain("done");
  });

  test.each([true, false])("is not retried by a client when a tool has run (stream: %p)", async (stream) => {
    world.mock.on(/work and fail/, function* ({ toolResults }) {
      if (toolResults.length > 0) yield apiError(529, "overloaded_error", "Overloaded");
      else yield toolUse("Bash", { command: "true", description: "Nothing" });
    });
    const response = await world.server.post(ask(`work and fail, stream: ${stream}`, { stream }));
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

  /** The start of a request of OpenClaw's. */
  const openclaw = { "x-openclaw-session-key": "agent:main:main" };

  test("is text for OpenClaw, which would repeat the work after an error", async () => {
    world.mock.on(/fail for OpenClaw/, function* () {
      yield apiError(500, "api_error", "Internal server error");
    });
    world.mock.on(/work and fail for OpenClaw/, function* ({ toolResults }) {
      if (toolResults.length > 0) yield apiError(529, "overloaded_error", "Overloaded");
      else yield toolUse("Bash", { command: "true", description: "Nothing" });
    });
    for (const what of ["fail", "work and fail"]) {
      for (const stream of [true, false]) {
        const response = await world.server.post(ask(`${what} for OpenClaw, stream: ${stream}`, { stream }), openclaw);
        expect(response.status).toBe(200);
        expect(await response.text()).toMatch(/\[synthesis: .*"finish_reason":"stop"/s);
      }
    }
  });

  test("is an error for OpenClaw when another model can answer, so that it fails over at once", async () => {
    const errors: [status: number, type: string, expected: [status: number, code: string]][] = [
      [529, "overloaded_error", [503, "overloaded"]],
      [429, "rate_limit_error", [429, "rate_limited"]],
      [401, "authentication_error", [503, "claude_not_logged_in"]],
    ];
    for (const [status, type, expected] of errors) {
      world.mock.on(new RegExp(`fail over at ${status}`), function* () {
        yield apiError(status, type, "Not now", { "retry-after": "0" });
      });
      const response = await world.server.post(ask(`fail over at ${status}`), openclaw);
      const { error } = (await response.json()) as { error: { code: string } };
      expect([response.status, error.code]).toEqual(expected);
      // Otherwise OpenClaw repeats the request for a minute and a half.
      expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(90);
    }
  });
});

describe("claude's own retries, where the user has not set their number", () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld({ retries: "default" });
  });
  afterAll(() => world[Symbol.asyncDispose]());
  /** A conversation, and a one-shot. */
  const users = ["me", undefined];

  test("recover from a temporary fault", async () => {
    for (const user of users) {
      let failed = 0;
      world.mock.on(/a passing fault/, function* () {
        if (failed++ < 2) yield apiError(529, "overloaded_error", "Overloaded");
        else yield text("there");
      });
      const response = await world.server.post(unstreamed("a passing fault", { user }));
      expect(await response.json()).toMatchObject({ choices: [{ message: { content: "there" } }] });
    }
  });

  test("end when the fault persists, or when claude would have to wait long", async () => {
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
    // The wait ended with its turn: the next message is answered.
    const next = await world.server.post(unstreamed("hello"));
    expect(await next.json()).toMatchObject({ choices: [{ message: { content: "You said: hello" } }] });
  });
});

interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  /** The number of requests that OpenAI's client sent. By default it retries twice. */
  readonly attempts: number;
}

/** Sends one message to a server that cannot answer. @returns the error, as OpenAI's client gets it */
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
  if (!(failure instanceof OpenAI.APIError)) throw new Error(`the request did not fail: ${lastBody}`);
  const { error } = JSON.parse(lastBody) as { error: { code: string; message: string } };
  return { status: failure.status ?? 0, ...error, attempts };
}

describe("the error of a claude that cannot answer", () => {
  test.each(["default", ""])("says that it is not logged in, and is not retried (user %p)", async (user) => {
    const { status, code, message, attempts } = await refused({ loggedIn: false, user });
    expect([status, code, attempts]).toEqual([503, "claude_not_logged_in", 1]);
    expect(message).toContain("/login");
  });

  test("says that it refuses the channel", async () => {
    const { status, code, message, attempts } = await refused({ channels: false });
    expect([status, code, attempts]).toEqual([503, "channel_refused", 1]);
    expect(message).toContain("channels feature is not currently available");
    expect(message).toContain("DISABLE_TELEMETRY");
  });

  test("says that it has never been set up", async () => {
    const { status, code, message, attempts } = await refused({
      prepare: ({ home }) => {
        writeFileSync(join(home, ".claude.json"), "{}");
      },
    });
    expect([status, code, attempts]).toEqual([503, "claude_not_ready", 1]);
    // With a network claude shows its first-run screens; without one it says that it cannot connect.
    expect(message).toMatch(/Unable to connect to Anthropic services|Run `claude` once in a terminal/);
  });

  test.each(["default", ""])("says that there is no such program (user %p)", async (user) => {
    const { status, code, message, attempts } = await refused({
      env: { SYNTHESIS_CLAUDE_BIN: "/nowhere/claude" },
      user,
    });
    expect([status, code, attempts]).toEqual([503, "claude_not_found", 1]);
    expect(message).toContain("SYNTHESIS_CLAUDE_BIN");
  });

  test.each(["default", ""])("says that it exits at once (user %p)", async (user) => {
    const { status, code, message, attempts } = await refused({ env: { SYNTHESIS_CLAUDE_BIN: "/bin/false" }, user });
    expect([status, code, attempts]).toEqual([503, "claude_not_ready", 1]);
    expect(message).toContain("exit code 1");
  });

  /** Sends a message to a server with a claude that shows this screen and never becomes ready. */
  const withScreen = async (screen: string) => {
    const folder = mkdtempSync(join(tmpdir(), "synthesis-test-"));
    const program = join(folder, "claude");
    writeFileSync(program, `#!/bin/sh\ncat <<'END'\n${screen}\nEND\nexec sleep 60\n`, { mode: 0o755 });
    await using world = await createWorld({
      standIn: true,
      env: { SYNTHESIS_CLAUDE_BIN: program, SYNTHESIS_READY_TIMEOUT_MS: "500" },
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
  ])("shows the screen of an unknown dialog: %p", async (screen) => {
    const { answer, error, log } = await withScreen(`The first line\n${"filler\n".repeat(12)}${screen}`);
    expect([answer.status, error.code]).toEqual([503, "claude_not_ready"]);
    expect([answer.headers.get("retry-after"), answer.headers.get("x-should-retry")]).toEqual([null, "false"]);
    expect(error.message).toContain("not ready after 500 ms");
    expect(error.message).toContain("Run `claude` once in /");
    expect(error.message).not.toContain("SYNTHESIS_READY_TIMEOUT_MS");
    for (const line of ["The first line", ...screen.split("\n")]) expect(error.message).toContain(line.trim());
    // The screen may show text of the conversation, which the log must not have.
    expect(log).not.toContain("The first line");
  });

  test.each([
    "Starting",
    `Here is what I saw:\n ❯ 1. Yes\n Enter to confirm\n${rule}\n❯ \n${rule}\n  manual mode on · ? for shortcuts`,
  ])("says that it does not get ready in time: %p", async (screen) => {
    const { answer, error } = await withScreen(screen);
    expect([answer.status, error.code]).toEqual([503, "claude_not_ready"]);
    expect([answer.headers.get("retry-after"), answer.headers.get("x-should-retry")]).toEqual(["30", null]);
    expect(error.message).toContain("not ready after 500 ms");
    expect(error.message).toContain("SYNTHESIS_READY_TIMEOUT_MS");
  });
});
