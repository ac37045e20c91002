/** OpenClaw's requests: which conversation they reach, and what Claude is sent of them. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { ChatMessage } from "../../src/api/openai-chat/request.ts";
import {
  agentRequest,
  assistant,
  contextMessage,
  type OpenClawOptions,
  toolResult,
  user,
  withTimestamp,
} from "../support/openclaw.ts";
import { events, next } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld({ standIn: true });
});
afterAll(() => world[Symbol.asyncDispose]());

function post(messages: readonly ChatMessage[], options: OpenClawOptions, stream = false, signal?: AbortSignal) {
  const { request, headers } = agentRequest(messages, options);
  return world.server.post({ ...request, stream }, Object.fromEntries(headers), signal);
}

interface Answer {
  readonly session: string | null;
  readonly process: string | null;
  /** What Claude was sent. The stand-in repeats it. */
  readonly sent: string | undefined;
}

async function ask(messages: readonly ChatMessage[], options: OpenClawOptions): Promise<Answer> {
  const response = await post(messages, options);
  const body = (await response.json()) as { choices: { message: { content: string } }[] };
  return {
    session: response.headers.get("x-synthesis-session"),
    process: response.headers.get("x-synthesis-process"),
    sent: body.choices[0]?.message.content.replace(/^You said: /, ""),
  };
}

/** A message as Claude is sent it: the context, then the text. */
const withContext = (text: string, ...context: string[]) =>
  context.length === 0 ? text : `<context>\n${context.join("\n\n")}\n</context>\n\n${text}`;
const DATE = "## Temporal Context\nCurrent date: 2026-11-22";
const CARRIED = "Subagents: none";
/** The header of a new run. All requests of a run have the same trace id. */
const run = (): Record<string, string> => ({
  traceparent: `00-${crypto.randomUUID().replaceAll("-", "")}-b7ad6b7169203331-01`,
});

test("a session without headers is identified by its Runtime line, which Claude does not see", async () => {
  const session = "agent:ops:main";
  const hello = user(withTimestamp("hello"));
  const first = await ask([hello, contextMessage()], { session, headers: run() });
  expect(first).toEqual({ session, process: "cold", sent: withContext(withTimestamp("hello"), DATE, CARRIED) });
  // Claude has the first message already, and the date has not changed.
  const more = [hello, assistant("hi"), contextMessage(), user(withTimestamp("more", 1))];
  const second = await ask(more, { session, runtimeLine: "part", headers: run() });
  expect(second).toEqual({ session, process: "warm", sent: withContext(withTimestamp("more", 1), CARRIED) });
  const later = [...more, assistant("yes"), user("and now?")];
  const third = await ask(later, { session, date: "2026-11-23", headers: run() });
  expect(third.sent).toBe(withContext("and now?", DATE.replace("22", "23")));
});

test("results of tool calls that do not exist are a message, not an error", async () => {
  const session = "agent:ops:tools";
  const before = "What was said in this chat before you came:\n\nUser: do it\n\nAssistant: [called exec]";
  const messages = [user("do it"), assistant("", ["c1", "exec"]), toolResult("c1", "done"), contextMessage()];
  const answer = await ask(messages, { session, headers: run() });
  expect(answer.sent).toBe(withContext("[exec returned]\ndone", before, DATE, CARRIED));
});

describe("the history", () => {
  test("of turns with other models is delivered once", async () => {
    const session = "agent:main:moved";
    const before = [user("one"), assistant("1")];
    const first = await ask([...before, user("two")], { session, headers: run() });
    expect(first.sent).toBe(
      withContext("two", "What was said in this chat before you came:\n\nUser: one\n\nAssistant: 1", DATE),
    );
    const elsewhere = [...before, user("two"), assistant("2"), user("three"), assistant("3")];
    const second = await ask([...elsewhere, user("four")], { session, headers: run() });
    expect(second.sent).toBe(
      withContext(
        "four",
        "This chat has been edited, or went on without you. From there on it reads:\n\nUser: three\n\nAssistant: 3",
      ),
    );
    const third = await ask([...elsewhere, user("four"), assistant("4"), user("five")], { session, headers: run() });
    expect(third.sent).toBe("five");
  });

  test("is not repeated when OpenClaw leaves out a heartbeat", async () => {
    const session = "agent:main:heart";
    await ask([user("one")], { session, headers: run() });
    await ask([user("one"), assistant("1"), user("heartbeat")], { session, headers: run() });
    const answer = await ask([user("one"), assistant("1"), user("two")], { session, headers: run() });
    expect(answer.sent).toBe("two");
  });

  test("is dropped after a reset, and kept when OpenClaw compacts it", async () => {
    const session = "agent:main:anew";
    const summary = "The conversation history before this point was compacted into the following summary:\n\nhi";
    const generations = [0, 1, 2].map((generation) => ({ session, generation }));
    await ask([user("one")], { ...generations[0], headers: run() });
    const compacted = [user(summary), user("one"), assistant("1"), user("two")];
    const kept = await ask(compacted, { ...generations[1], headers: run() });
    expect(kept).toEqual({ session, process: "warm", sent: "two" });
    const anew = await ask([user("one")], { ...generations[2], headers: run() });
    expect(anew).toEqual({ session, process: "cold", sent: withContext("one", DATE) });
  });

  test("has its images removed when it is dropped", async () => {
    const session = "agent:main:images";
    const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    const withImage = user([
      { type: "text", text: "look" },
      { type: "image_url", image_url: { url: `data:image/png;base64,${png}` } },
    ]);
    const images = () => [...new Bun.Glob("images/*/*").scanSync({ cwd: join(world.claude.base, "state") })];
    await ask([withImage], { session, generation: 0, headers: run() });
    expect(images()).toHaveLength(1);
    await ask([withImage, assistant("nice"), user("more")], { session, generation: 0, headers: run() });
    expect(images()).toHaveLength(1);
    await ask([user("anew")], { session, generation: 1, headers: run() });
    expect(images()).toEqual([]);
  });

  test("is dropped after a reset if OpenClaw does not number its sessions", async () => {
    const session = "agent:main:unnumbered";
    await ask([user("one")], { session, headers: run() });
    expect((await ask([user("two")], { session, headers: run() })).process).toBe("cold");
  });
});

describe("a repeated turn", () => {
  /** Runs a turn that Claude has started to work on when its client disconnects. */
  async function abandonTurn(text: string, options: OpenClawOptions) {
    const client = new AbortController();
    const response = post([user(text)], options, true, client.signal).catch(() => "aborted");
    await world.server.logged(new RegExp(`message sent.*${options.session}`));
    client.abort();
    await response;
    await world.server.logged(new RegExp(`"turn .*interrupted.*${options.session}`));
  }

  test("is not delivered again: Claude is asked to answer the message it has", async () => {
    const options = { session: "agent:main:again", headers: run() };
    await abandonTurn("hang", options);
    const answer = await ask([user("hang"), contextMessage()], options);
    expect(answer.sent).toBe(
      withContext("(My last message is still without an answer. Please answer it now.)", CARRIED),
    );
  });

  test("is not delivered again when OpenClaw quotes it in the next message", async () => {
    const session = "agent:main:quoted";
    await abandonTurn("hang", { session, headers: run() });
    const note = "[Queued user message from a previous active turn; preserved as context only]";
    const answer = await ask([user(`${note}\nhang\n\nand this?`)], { session, headers: run() });
    expect(answer.sent).toBe("and this?");
  });

  test("that was answered gets the same answer from the transcript", async () => {
    const options = { session: "agent:main:lost-answer", headers: run() };
    const first = await ask([user("one")], options);
    expect(await ask([user("one")], options)).toEqual({ ...first, process: "warm" });
    // The same message in another run is a new message.
    const history = [user("one"), assistant("1")];
    expect((await ask([...history, user("one")], { ...options, headers: run() })).sent).toBe("one");
  });
});

test("a failure during a turn is sent as text, since OpenClaw repeats the turn after an error", async () => {
  const response = await post([user("exit")], { session: "agent:main:exit", headers: run() }, true);
  const all = await Array.fromAsync(events(response));
  expect(JSON.stringify(all)).toMatch(/\[synthesis: Claude Code exited/);
  expect(JSON.stringify(all)).toContain('"finish_reason":"stop"');
  expect(all.every((event) => event === "[DONE]" || !("error" in event))).toBe(true);
});

test("a failure before Claude has the message is an error", async () => {
  await using withoutClaude = await createWorld({ standIn: true, env: { SYNTHESIS_CLAUDE_BIN: "/nowhere/claude" } });
  const { request, headers } = agentRequest([user("hello")], { session: "agent:main:main" });
  const response = await withoutClaude.server.post(request, Object.fromEntries(headers));
  expect([response.status, await response.json()]).toMatchObject([503, { error: { code: "claude_not_found" } }]);
});

test("an affinity id alone identifies the session that used it last", async () => {
  const session = "agent:main:alias";
  await ask([user("one")], { session, generation: 4, headers: run() });
  const byAffinity = { generation: 4, runtimeLine: "none", headers: run() } as const;
  const answer = await ask([user("one"), assistant("1"), user("two")], byAffinity);
  expect([answer.session, answer.sent]).toEqual([session, "two"]);
});

test("a stream holds only chunks and [DONE]", async () => {
  const stream = events(await post([user("hello")], { session: "agent:main:stream", headers: run() }, true));
  expect(await next(stream)).toMatchObject({ choices: [{ delta: { role: "assistant" } }] });
  expect((await Array.fromAsync(stream)).at(-1)).toBe("[DONE]");
});
