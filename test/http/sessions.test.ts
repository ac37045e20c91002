/** `/v1/sessions`: what the control API shows, and what it does to a conversation. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { control as askControl, at, controlKey } from "../support/control.ts";
import { waitForExit } from "../support/processes.ts";
import { startServer } from "../support/server.ts";
import { ask, postUntilSent, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
beforeEach(async () => {
  world = await createWorld({ standIn: true });
});
afterEach(() => world[Symbol.asyncDispose]());

const control = (path: string, method = "GET", key = controlKey(world), url = world.server.url) =>
  askControl(world, path, { method, key, url });
const json = async (response: Response) => (await response.json()) as Record<string, unknown>;
const say = async (content: string, user = "me") => {
  const response = await world.server.post(ask(content, { user }));
  const text = (await Array.fromAsync(texts(response))).join("");
  return { text, process: response.headers.get("x-synthesis-process") };
};
/** Starts a turn that runs until it is interrupted. Resolves when Claude has the message. */
const hang = async (user = "me") => {
  return postUntilSent(world.server, ask("hang", { user }), `user:${user}`);
};
const code = async (response: Response) => [response.status, (await json(response)).error];
const error = (code: string) => expect.objectContaining({ code, message: expect.stringMatching(/./) });
/** The response to a request when its turn was interrupted before any text. */
const INTERRUPTED = [400, error("turn_interrupted")];

describe("the control key", () => {
  test("is readable for its owner only, and differs from the chat key", () => {
    expect(statSync(join(world.claude.base, "state/control.key")).mode & 0o777).toBe(0o600);
    expect(controlKey(world)).not.toBe(world.server.key);
    expect(world.server.log()).not.toContain(controlKey(world));
  });

  test("opens the sessions, but no chats, and the chat key does not open the sessions", async () => {
    await say("hello");
    for (const path of ["", at("user:me"), `${at("user:me")}/screen`, "/nothing/at/all"]) {
      const rejected = await control(path, "GET", world.server.key);
      expect(await code(rejected)).toEqual([401, error("invalid_api_key")]);
    }
    for (const [path, method] of [
      [at("user:me"), "DELETE"],
      [`${at("user:me")}/reset`, "POST"],
      [`${at("user:me")}/interrupt`, "POST"],
    ] as const) {
      const rejected = await control(path, method, world.server.key);
      expect((await json(rejected)).error).toMatchObject({ message: expect.stringContaining("control.key") });
    }
    const chat = await world.server.post(ask("hello"), { authorization: `Bearer ${controlKey(world)}` });
    expect((await json(chat)).error).toMatchObject({
      code: "invalid_api_key",
      message: expect.stringContaining("API key"),
    });
    expect((await control("")).status).toBe(200);
  });
});

test("rejects unknown sessions, wrong methods, unknown addresses and invalid queries", async () => {
  await say("hello");
  for (const [path, method] of [
    ["/unknown", "GET"],
    ["/unknown", "DELETE"],
    ["/unknown/reset", "POST"],
    ["/unknown/interrupt", "POST"],
    ["/unknown/screen", "GET"],
  ] as const) {
    expect(await code(await control(path, method))).toEqual([404, error("session_not_found")]);
  }
  for (const [path, method, allowed] of [
    ["", "POST", "GET"],
    [at("user:me"), "PUT", "GET, DELETE"],
    [`${at("user:me")}/reset`, "GET", "POST"],
    [`${at("user:me")}/interrupt`, "DELETE", "POST"],
    [`${at("user:me")}/screen`, "POST", "GET"],
  ] as const) {
    const response = await control(path, method);
    expect(response.headers.get("allow")).toBe(allowed);
    expect(await code(response)).toEqual([405, error("method_not_allowed")]);
  }
  expect(await code(await control(`${at("user:me")}/more`))).toEqual([404, error("unknown_url")]);
  expect(await code(await control(`${at("user:me")}?transcript=yes`, "DELETE"))).toEqual([
    400,
    expect.objectContaining({ code: "invalid_request", param: "transcript" }),
  ]);
});

describe("the control API shows", () => {
  test("all sessions, the most recent first, and the turns of one, without message texts", async () => {
    await say("a secret", "one");
    await say("another secret", "two");
    const list = await json(await control(""));
    const session = {
      key: "user:two",
      source: "user",
      agent: null,
      chat: null,
      workspace: world.claude.workspace,
      model: null,
      effort: null,
      claude_session: expect.stringMatching(/^[\da-f-]{36}$/),
      created_at: expect.any(Number),
      last_active_at: expect.any(Number),
      turns: 1,
      state: "idle",
      pid: expect.any(Number),
      waiting: 0,
    };
    expect(list).toEqual({ object: "list", data: [session, { ...session, key: "user:one" }] });
    const one = await json(await control(at("user:one")));
    expect(one).toMatchObject({ key: "user:one", past_sessions: [], tokens_in: 4, tokens_out: 1, tokens_cached: 1 });
    expect(one.last_turns).toEqual([
      expect.objectContaining({ state: "done", tokens_in: 4, tokens_out: 1, claude_session: one.claude_session }),
    ]);
    expect(JSON.stringify([list, one])).not.toContain("secret");
  });

  test("whether a session is busy, and how many requests wait in it", async () => {
    const { response } = await hang();
    const waiting = world.server.post(ask("hello", { user: "me" }));
    while ((await json(await control(at("user:me")))).waiting !== 1) await Bun.sleep(10);
    expect(await json(await control(at("user:me")))).toMatchObject({ state: "busy", waiting: 1 });
    await control(`${at("user:me")}/interrupt`, "POST");
    await response;
    await (await waiting).text();
    expect(await json(await control(at("user:me")))).toMatchObject({ state: "idle", waiting: 0 });
  });

  test("a session under a key of any characters, and after a restart without a process", async () => {
    const key = "agent:main/ü %2F?#&+%";
    await (await world.server.post(ask("hello"), { "x-openclaw-session-key": "agent:main/x %2F?#&+%" })).text();
    await say("hello", key);
    await world.server.stop();
    const again = await startServer({ ...world.claude.env, SYNTHESIS_HOME: join(world.claude.base, "state") });
    for (const one of [`user:${key}`, "agent:main/x %2F?#&+%"]) {
      const response = await control(at(one), "GET", controlKey(world), again.url);
      expect(await json(response)).toMatchObject({ key: one, state: "cold", pid: null, turns: 1 });
    }
    const cold = await control(`${at(`user:${key}`)}/screen`, "GET", controlKey(world), again.url);
    expect(await code(cold)).toEqual([409, error("not_running")]);
    await again.stop();
  });
});

describe("interrupt", () => {
  test("ends the turn with an error, and keeps the process for the next message", async () => {
    const { response } = await hang();
    expect((await control(`${at("user:me")}/interrupt`, "POST")).status).toBe(200);
    expect(await code(await response)).toEqual(INTERRUPTED);
    expect(await say("hello")).toEqual({ text: "You said: hello", process: "warm" });
  });

  test("ends a turn that waits for a process slot, and the next one is answered", async () => {
    await using full = await createWorld({ standIn: true, env: { SYNTHESIS_MAX_PROCESSES: "1" } });
    const busy = new AbortController();
    const held = await postUntilSent(full.server, ask("hang", { user: "other" }), "user:other", busy.signal);
    const waiting = full.server.post(ask("hello", { user: "me" }));
    await full.server.logged(/a turn waits for a process slot/);
    expect(await json(await askControl(full, at("user:me")))).toMatchObject({ state: "starting", waiting: 1 });
    expect((await askControl(full, `${at("user:me")}/interrupt`, { method: "POST" })).status).toBe(200);
    expect(await code(await waiting)).toEqual([400, error("turn_interrupted")]);
    busy.abort();
    await held.response.catch(() => "aborted");
    const after = await full.server.post(ask("hello", { user: "me", stream: false }));
    expect([after.status, after.headers.get("x-synthesis-process")]).toEqual([200, "cold"]);
  });

  test("is rejected when no turn runs", async () => {
    await say("hello");
    expect(await code(await control(`${at("user:me")}/interrupt`, "POST"))).toEqual([409, error("not_running")]);
  });

  test("does not make the official client repeat the request", async () => {
    const turn = world.server.openai.withOptions({ maxRetries: 2 }).chat.completions.create({
      ...ask("hang", { user: "me" }),
      stream: false,
    } as never);
    const failed = (async () => await turn)().catch((error: unknown) => error);
    await world.server.logged(/message sent/);
    await control(`${at("user:me")}/interrupt`, "POST");
    expect(await failed).toMatchObject({ status: 400, code: "turn_interrupted" });
    expect(world.server.log().match(/"message sent"/g)).toHaveLength(1);
  });
});

describe("reset", () => {
  const reset = () => control(`${at("user:me")}/reset`, "POST");

  test("gives the next message a new Claude session, and lists the old one as a past session", async () => {
    await say("hello");
    const before = await json(await control(at("user:me")));
    expect(await json(await reset())).toMatchObject({ state: "cold", pid: null, turns: 0 });
    await waitForExit([before.pid as number]);
    expect(await say("again")).toEqual({ text: "You said: again", process: "cold" });
    const after = await json(await control(at("user:me")));
    expect(after.claude_session).not.toBe(before.claude_session);
    expect(after.turns).toBe(1);
    expect(after.past_sessions).toMatchObject([{ claude_session: before.claude_session }]);
    expect(after.last_turns).toMatchObject([
      { claude_session: before.claude_session },
      { claude_session: after.claude_session },
    ]);
  });

  test("ends the running turn and those that wait, and later messages get the new session", async () => {
    const running = await hang();
    const waiting = world.server.post(ask("waits", { user: "me" }));
    while ((await json(await control(at("user:me")))).waiting !== 1) await Bun.sleep(10);
    const done = reset();
    expect(await code(await running.response)).toEqual(INTERRUPTED);
    expect(await code(await waiting)).toEqual(INTERRUPTED);
    // The old process may not have exited yet.
    const [answer] = await Promise.all([say("hello"), done]);
    expect(answer).toEqual({ text: "You said: hello", process: "cold" });
    const { claude_session, past_sessions } = await json(await control(at("user:me")));
    expect(past_sessions).toHaveLength(1);
    expect(claude_session).not.toBe((past_sessions as { claude_session: string }[])[0]?.claude_session);
  });

  test("twelve resets and messages in parallel leave one process, and every message gets a response", async () => {
    await say("hello");
    const answers = await Promise.all(
      Array.from({ length: 12 }, async (_, turn) => {
        if (turn % 3 === 0) return (await reset()).status;
        const response = await world.server.post(ask(`${turn}`, { user: "me", stream: false }));
        const { error } = await json(response);
        return error === undefined ? 200 : (error as { code: string }).code;
      }),
    );
    for (const answer of answers) expect([200, "turn_interrupted"]).toContain(answer as never);
    expect((await say("last")).text).toBe("You said: last");
    const { pid } = await json(await control(at("user:me")));
    expect(agentProcesses()).toContain(pid as number);
    await waitForExit(agentProcesses().filter((one) => one !== pid));
  });

  test("works for a session without a process after a restart", async () => {
    await say("hello");
    await world.server.stop();
    const again = await startServer({
      ...world.claude.env,
      SYNTHESIS_HOME: join(world.claude.base, "state"),
      SYNTHESIS_CLAUDE_BIN: join(world.claude.base, "claude"),
      SYNTHESIS_ENGINE: "interactive",
    });
    const response = await control(`${at("user:me")}/reset`, "POST", controlKey(world), again.url);
    expect(await json(response)).toMatchObject({ state: "cold", turns: 0 });
    const answer = await again.post(ask("hello", { user: "me", stream: false }));
    expect(answer.headers.get("x-synthesis-process")).toBe("cold");
    await again.stop();
  });
});

/** The process ids of all Claudes that the server has started so far. */
const agentProcesses = () =>
  [...world.server.log().matchAll(/"message":"claude started".*?"pid":(\d+)/g)].map(([, pid]) => Number(pid));

describe("delete", () => {
  const image = `data:image/png;base64,${"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="}`;
  const transcripts = () => readdirSync(join(world.claude.home, ".claude/projects/stand-in"));
  const talk = async () => {
    const content = [
      { type: "text", text: "look" },
      { type: "image_url", image_url: { url: image } },
    ];
    await (await world.server.post({ messages: [{ role: "user", content }], user: "me" })).text();
  };

  test("stops the process and removes the session, its turns and its images, but not the transcript", async () => {
    await talk();
    await control(`${at("user:me")}/reset`, "POST");
    await talk();
    const { pid } = await json(await control(at("user:me")));
    const images = join(world.claude.base, "state/images");
    expect(readdirSync(images)).toHaveLength(1);
    expect(await json(await control(at("user:me"), "DELETE"))).toEqual({ key: "user:me", deleted: true });
    await waitForExit([pid as number]);
    expect(readdirSync(images)).toEqual([]);
    expect(transcripts()).toHaveLength(2);
    expect((await control(at("user:me"))).status).toBe(404);
    expect(await json(await control(""))).toEqual({ object: "list", data: [] });
    expect(await say("hello")).toEqual({ text: "You said: hello", process: "cold" });
    expect(await json(await control(at("user:me")))).toMatchObject({ turns: 1, past_sessions: [] });
  });

  test("waits for a process that does not exit, but for less time if it has ended its session", async () => {
    await say("stay", "silent");
    await say("stay ended", "ended");
    const order: string[] = [];
    const remove = async (user: string) => {
      expect((await control(at(`user:${user}`), "DELETE")).ok).toBe(true);
      order.push(user);
    };
    await Promise.all([remove("silent"), remove("ended")]);
    expect(order).toEqual(["ended", "silent"]);
  });

  test("removes the transcripts, too, with ?transcript=1", async () => {
    await say("hello");
    await control(`${at("user:me")}/reset`, "POST");
    await say("hello");
    await say("hello", "another");
    await control(`${at("user:me")}?transcript=1`, "DELETE");
    expect(transcripts()).toHaveLength(1);
  });

  test("ends a running turn, and a message that arrives meanwhile starts a new session", async () => {
    const running = await hang();
    const deleted = control(at("user:me"), "DELETE");
    expect(await code(await running.response)).toEqual(INTERRUPTED);
    const [answer] = await Promise.all([say("hello"), deleted]);
    expect(answer).toEqual({ text: "You said: hello", process: "cold" });
    expect(await json(await control(at("user:me")))).toMatchObject({ turns: 1, last_turns: [{ state: "done" }] });
  });
});
