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

/** A server that cannot answer; the error of the first request. */
async function refused(options: WorldOptions): Promise<{ status: number; code: string; message: string }> {
  await using world = await createWorld(options);
  const answer = await world.server.post(ask("hello"));
  const { error } = (await answer.json()) as { error: { code: string; message: string } };
  return { status: answer.status, ...error };
}

describe("a claude that cannot answer", () => {
  test("is not logged in", async () => {
    const { status, code, message } = await refused({ loggedIn: false });
    expect([status, code]).toEqual([503, "claude_not_logged_in"]);
    expect(message).toContain("/login");
  });

  test("refuses the channel", async () => {
    const { status, code, message } = await refused({ channels: false });
    expect([status, code]).toEqual([503, "channel_refused"]);
    expect(message).toContain("channels feature is not currently available");
    expect(message).toContain("DISABLE_TELEMETRY");
  });

  test("has never been set up", async () => {
    const { status, code, message } = await refused({
      prepare: ({ home }) => {
        writeFileSync(join(home, ".claude.json"), "{}");
      },
    });
    expect([status, code]).toEqual([503, "claude_not_ready"]);
    // With a network it would show its onboarding; without one it says that it cannot.
    expect(message).toMatch(/Unable to connect to Anthropic services|Run `claude` once in a terminal/);
  });

  test("is not there", async () => {
    const { status, code, message } = await refused({ env: { SYNTHESIS_CLAUDE_BIN: "/nowhere/claude" } });
    expect([status, code]).toEqual([503, "claude_not_found"]);
    expect(message).toContain("SYNTHESIS_CLAUDE_BIN");
  });

  test("ends at once", async () => {
    const { status, code, message } = await refused({ env: { SYNTHESIS_CLAUDE_BIN: "/bin/false" } });
    expect([status, code]).toEqual([503, "claude_not_ready"]);
    expect(message).toContain("exit code 1");
  });

  test("does not get ready in time", async () => {
    const folder = mkdtempSync(join(tmpdir(), "synthesis-test-"));
    const mute = join(folder, "claude");
    writeFileSync(mute, "#!/bin/sh\necho What a strange question: yes or no?\nexec sleep 60\n", { mode: 0o755 });
    const { status, code, message } = await refused({
      env: { SYNTHESIS_CLAUDE_BIN: mute, SYNTHESIS_READY_TIMEOUT_MS: "500" },
    });
    rmSync(folder, { recursive: true });
    expect([status, code]).toEqual([503, "claude_not_ready"]);
    expect(message).toContain("not ready after 500 ms");
    expect(message).toContain("What a strange question");
  });
});
