/** `/bridge` against peers that do not behave. The stand-in's own tokens let the test take its place. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ask, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
let standIns: string;
beforeAll(async () => {
  world = await createWorld({
    standIn: true,
    prepare: ({ base, env }) => {
      standIns = join(base, "stand-ins");
      env.STAND_IN_ENV = standIns;
    },
  });
});
afterAll(() => world[Symbol.asyncDispose]());

const say = async (content: string, user: string) =>
  (await Array.fromAsync(texts(await world.server.post(ask(content, { user }))))).join("");

/** A conversation with a process, and that process's environment. */
async function standIn(user: string): Promise<Record<string, string>> {
  expect(await say("hello", user)).toBe("You said: hello");
  const all = readFileSync(standIns, "utf8").trim().split("\n");
  return JSON.parse(all.findLast((line) => line.includes(`"user:${user}"`)) ?? "");
}

interface Peer {
  readonly socket: WebSocket;
  readonly opened: Promise<void>;
  readonly closed: Promise<number>;
  next(): Promise<string>;
}
function connect(token: string, headers: Record<string, string> = {}): Peer {
  const socket = new WebSocket(`${world.server.url.replace("http", "ws")}/bridge`, {
    headers: { authorization: `Bearer ${token}`, ...headers },
  });
  const opened = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<number>();
  const messages: string[] = [];
  const waiting: ((message: string) => void)[] = [];
  socket.onopen = () => opened.resolve();
  socket.onerror = () => {};
  socket.onclose = ({ code }) => closed.resolve(code);
  socket.onmessage = ({ data }) => {
    const waiter = waiting.shift();
    if (waiter) waiter(String(data));
    else messages.push(String(data));
  };
  return {
    socket,
    opened: opened.promise,
    closed: closed.promise,
    next: () => {
      const message = messages.shift();
      return message === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(message);
    },
  };
}
const hello = {
  type: "hello",
  protocol: 1,
  pid: 1,
  openclaw_session: "x",
  claude_session: "x",
  plugin_version: "test",
};

test("a token that belongs to no process is closed with 4003", async () => {
  for (const token of ["", "wrong", world.server.key]) expect(await connect(token).closed).toBe(4003);
});

test("a web page is not let in", async () => {
  const { SYNTHESIS_BRIDGE_TOKEN: token = "" } = await standIn("page");
  expect(await connect(token, { origin: "http://evil.example" }).closed).not.toBe(1000);
});

describe("with a good token", () => {
  const firsts: [what: string, first: string, code: number][] = [
    ["a first frame that is not hello", JSON.stringify({ type: "ping" }), 4001],
    ["a first frame that is not JSON", "hello", 4001],
    ["a hello that is not complete", JSON.stringify({ type: "hello" }), 4001],
    ["a protocol that is not spoken", JSON.stringify({ ...hello, protocol: 99 }), 4004],
    ["a frame that is too large", "x".repeat(1024 * 1024 + 1), 4005],
  ];
  test.each(firsts)("%s closes the connection, and the real one stays", async (what, first, code) => {
    const { SYNTHESIS_BRIDGE_TOKEN: token = "" } = await standIn(what);
    const peer = connect(token);
    await peer.opened;
    peer.socket.send(first);
    expect(await peer.closed).toBe(code);
    expect(await say("still there", what)).toBe("You said: still there");
  });

  test("a second connection takes the first one's place, which is closed with 4002", async () => {
    const { SYNTHESIS_BRIDGE_TOKEN: token = "" } = await standIn("replaced");
    const first = connect(token);
    await first.opened;
    first.socket.send(JSON.stringify(hello));
    expect(JSON.parse(await first.next())).toEqual({ type: "hello_ack", protocol: 1, mode: "live", tools: [] });
    const second = connect(token);
    await second.opened;
    second.socket.send(JSON.stringify(hello));
    expect(await first.closed).toBe(4002);
    second.socket.close();
  });

  test("bad frames, unknown frames and a second hello are ignored", async () => {
    const { SYNTHESIS_BRIDGE_TOKEN: token = "" } = await standIn("patient");
    const peer = connect(token);
    await peer.opened;
    for (const frame of [hello, hello, { type: "shout" }, [], { type: "ping", extra: 1 }])
      peer.socket.send(JSON.stringify(frame));
    peer.socket.send("{");
    peer.socket.send(JSON.stringify({ type: "ping" }));
    expect(JSON.parse(await peer.next())).toMatchObject({ type: "hello_ack" });
    expect(JSON.parse(await peer.next())).toEqual({ type: "pong" });
    peer.socket.close();
  });
});

test("a hook whose body is no JSON is told so, and its words are not logged", async () => {
  const { SYNTHESIS_HOOK_TOKEN: token = "" } = await standIn("hook");
  const response = await fetch(`${world.server.url}/hooks`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
    body: "unmistakable words",
  });
  expect([response.status, ((await response.json()) as { error: { code: string } }).error.code]).toEqual([
    400,
    "invalid_json",
  ]);
  expect(await say("still there", "hook")).toBe("You said: still there");
  expect(world.server.log()).not.toContain("unmistakable");
});

test("a plugin that is silent for two pings is cut off", async () => {
  await using quick = await createWorld({
    standIn: true,
    env: { SYNTHESIS_BRIDGE_PING_MS: "20", STAND_IN_ENV: standIns },
  });
  await Array.fromAsync(texts(await quick.server.post(ask("hello", { user: "silent" }))));
  const all = readFileSync(standIns, "utf8").trim().split("\n");
  const { SYNTHESIS_BRIDGE_URL: url, SYNTHESIS_BRIDGE_TOKEN: token } = JSON.parse(all.at(-1) ?? "");
  const socket = new WebSocket(url, { headers: { authorization: `Bearer ${token}` } });
  const closed = new Promise<void>((resolve) => {
    socket.onclose = () => resolve();
  });
  socket.onopen = () => socket.send(JSON.stringify(hello));
  await closed;
  expect(await quick.server.logged(/plugin silent/)).toBeString();
});
