/** A world for tests of the HTTP interface: a server that runs stand-ins of claude, and functions to reach it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { answerText, ask } from "./sse.ts";
import { createWorld, type World, type WorldOptions } from "./world.ts";

export interface HttpWorld extends World {
  /** Sends a request with the chat key. With `key: null` it has no key. */
  request(path: string, init?: RequestInit & { readonly key?: string | null }): Promise<Response>;
  /** Posts JSON with the chat key. A string is sent as it is. */
  postJson(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
  /** Posts a chat message of a user. @returns the text of the answer */
  say(content: string, user: string): Promise<string>;
  /** Starts a conversation of a user. @returns the environment of its stand-in, with the two tokens of the process */
  startConversation(user: string): Promise<Record<string, string>>;
  /** Connects to `/bridge` in place of the plugin. */
  connectBridge(token: string, headers?: Record<string, string>): BridgePeer;
}

/** A WebSocket to `/bridge`. */
interface BridgePeer {
  readonly opened: Promise<void>;
  /** Resolves with the close code. */
  readonly closed: Promise<number>;
  /** Sends a frame. A string is sent as it is. */
  send(frame: unknown): void;
  /** The next frame from the server. */
  next(): Promise<unknown>;
  close(): void;
}

/** A valid first frame on `/bridge`. */
export const HELLO = {
  type: "hello",
  protocol: 1,
  pid: 1,
  openclaw_session: "x",
  claude_session: "x",
  plugin_version: "test",
};

export const JSON_TYPE = { "content-type": "application/json" };

export async function createHttpWorld(options: WorldOptions = {}): Promise<HttpWorld> {
  let standIns = "";
  const world = await createWorld({
    ...options,
    standIn: true,
    prepare: (claude) => {
      standIns = join(claude.base, "stand-ins");
      claude.env.STAND_IN_ENV = standIns;
      options.prepare?.(claude);
    },
  });
  const { server } = world;
  const say = async (content: string, user: string) => answerText(await server.post(ask(content, { user })));
  return {
    ...world,
    request: (path, { key = server.key, headers, ...init } = {}) => {
      const authorization = key === null ? {} : { authorization: `Bearer ${key}` };
      return fetch(`${server.url}${path}`, { ...init, headers: { ...authorization, ...(headers as object) } });
    },
    postJson: (path, body, headers = {}) =>
      fetch(`${server.url}${path}`, {
        method: "POST",
        headers: { ...JSON_TYPE, authorization: `Bearer ${server.key}`, ...headers },
        body: typeof body === "string" ? body : JSON.stringify(body),
      }),
    say,
    startConversation: async (user) => {
      await say("hello", user);
      const started = readFileSync(standIns, "utf8").trim().split("\n");
      return JSON.parse(started.findLast((line) => line.includes(`"user:${user}"`)) ?? "");
    },
    connectBridge: (token, headers = {}) =>
      connect(`${server.url.replace("http", "ws")}/bridge`, { authorization: `Bearer ${token}`, ...headers }),
  };
}

function connect(url: string, headers: Record<string, string>): BridgePeer {
  const socket = new WebSocket(url, { headers });
  const opened = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<number>();
  const frames: unknown[] = [];
  const readers: ((frame: unknown) => void)[] = [];
  socket.onopen = () => opened.resolve();
  // A rejected handshake also emits an error event. The test learns of it from `closed`.
  socket.onerror = () => {};
  socket.onclose = ({ code }) => closed.resolve(code);
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(String(data));
    const reader = readers.shift();
    if (reader) reader(frame);
    else frames.push(frame);
  };
  return {
    opened: opened.promise,
    closed: closed.promise,
    send: (frame) => socket.send(typeof frame === "string" ? frame : JSON.stringify(frame)),
    next: () => (frames.length > 0 ? Promise.resolve(frames.shift()) : new Promise((resolve) => readers.push(resolve))),
    close: () => socket.close(),
  };
}
