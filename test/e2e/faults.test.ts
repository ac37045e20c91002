/** What a user is told when claude, its login, its API or its channel does not play along. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI from "openai";
import { apiError, text } from "../support/mock-anthropic.ts";
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

  test("a stream is told of the error in the stream", async () => {
    world.mock.on(/streamed limit/, function* () {
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
