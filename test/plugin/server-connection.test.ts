/** The plugin's connection to the server, with a server that the test plays. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import type { Server, ServerWebSocket } from "bun";
import { connectToServer } from "../../src/plugin/server-connection.ts";
import { CLOSE, type PluginFrame, PROTOCOL, type ServerFrame } from "../../src/wire/frames.ts";

const HELLO = {
  type: "hello",
  protocol: PROTOCOL,
  pid: 1,
  openclaw_session: "s",
  claude_session: "c",
  plugin_version: "1",
} as const;
const ACK: ServerFrame = { type: "hello_ack", protocol: PROTOCOL, mode: "live", tools: [] };
const CALL = { type: "tool_call", id: "1", name: "look", arguments: {} } as const;
const RESULT: ServerFrame = {
  type: "tool_result",
  id: "1",
  content: [{ type: "text", text: "seen" }],
  is_error: false,
};

let server: Server<undefined>;
let sockets: ServerWebSocket<undefined>[];
let frames: PluginFrame[];
let arrived = Promise.withResolvers<void>();
beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: (request, bun) =>
      bun.upgrade(request, { data: undefined }) ? undefined : new Response(null, { status: 400 }),
    websocket: {
      open: (socket) => void sockets.push(socket),
      message: (_socket, text) => {
        frames.push(JSON.parse(String(text)));
        arrived.resolve();
        arrived = Promise.withResolvers();
      },
    },
  });
});
afterAll(() => server.stop(true));
beforeEach(() => {
  sockets = [];
  frames = [];
});

/** Waits until the server has received `count` frames. */
async function received(count: number): Promise<PluginFrame[]> {
  while (frames.length < count) await arrived.promise;
  return frames;
}
const send = (frame: ServerFrame) => sockets.at(-1)?.send(JSON.stringify(frame));
const never = new AbortController().signal;

function connect() {
  const lost = Promise.withResolvers<void>();
  const inbound = Promise.withResolvers<string>();
  const connection = connectToServer(`ws://127.0.0.1:${server.port}`, "token", HELLO, {
    onHelloAck: () => {},
    onInbound: ({ content }) => inbound.resolve(content),
    onTools: () => {},
    onLost: () => lost.resolve(),
  });
  return {
    ...connection,
    lost: lost.promise,
    inbound: inbound.promise,
    [Symbol.dispose]: () => connection.close(),
  };
}

test("says hello first, and passes on messages", async () => {
  using connection = connect();
  expect(await received(1)).toEqual([HELLO]);
  send({ type: "inbound", content: "hi", meta: { message_id: "m" } });
  expect(await connection.inbound).toBe("hi");
});

test("answers pings", async () => {
  using _connection = connect();
  await received(1);
  send({ type: "ping" });
  expect((await received(2))[1]).toEqual({ type: "pong" });
});

describe("a tool call", () => {
  test("is answered by its result", async () => {
    using connection = connect();
    await received(1);
    const answer = connection.request(CALL, never);
    await received(2);
    send(RESULT);
    expect(await answer).toEqual(RESULT as never);
  });

  test("is sent again after a reconnect, when the server has accepted the new socket", async () => {
    using connection = connect();
    await received(1);
    const answer = connection.request(CALL, never);
    await received(2);
    sockets.at(-1)?.close();
    expect((await received(3))[2]).toEqual(HELLO);
    send(ACK);
    expect((await received(4))[3]).toEqual(CALL);
    send(RESULT);
    expect(await answer).toEqual(RESULT as never);
  });

  test("is cancelled when Claude is interrupted, and is not sent again", async () => {
    using connection = connect();
    await received(1);
    const interruption = new AbortController();
    const answer = connection.request(CALL, interruption.signal);
    await received(2);
    interruption.abort();
    expect(await answer).toBeNull();
    expect((await received(3))[2]).toEqual({ type: "tool_cancel", id: "1" });
    sockets.at(-1)?.close();
    await received(4);
    send(ACK);
    send({ type: "ping" });
    expect((await received(5))[4]).toEqual({ type: "pong" });
  });

  test("ends without a result when the connection is closed", async () => {
    const connection = connect();
    await received(1);
    const answer = connection.request(CALL, never);
    await received(2);
    connection.close();
    expect(await answer).toBeNull();
  });
});

describe("the connection is lost", () => {
  test.each([CLOSE.NOT_AUTHORIZED, CLOSE.REPLACED, CLOSE.PROTOCOL])(
    "when the server closes it with %p",
    async (code) => {
      using connection = connect();
      await received(1);
      sockets.at(-1)?.close(code);
      await connection.lost;
    },
  );
});

test("a frame that it cannot read is ignored", async () => {
  using connection = connect();
  await received(1);
  sockets.at(-1)?.send("{");
  sockets.at(-1)?.send('{"type":"new"}');
  send({ type: "inbound", content: "hi", meta: { message_id: "m" } });
  expect(await connection.inbound).toBe("hi");
});
