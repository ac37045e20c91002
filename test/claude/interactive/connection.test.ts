import { afterEach, beforeEach, describe, expect, jest, test } from "bun:test";
import { Connection, type ConnectionOwner } from "../../../src/claude/interactive/connection.ts";
import { Pings } from "../../../src/claude/interactive/pings.ts";
import { CLOSE, MAX_FRAME_BYTES, PROTOCOL } from "../../../src/wire/frames.ts";

const PING_MS = 20_000;
let connections: Connection[] = [];
afterEach(() => {
  for (const connection of connections) connection.closed();
  connections = [];
});

/** A connection with a fake socket. */
function connect(pings = new Pings(60_000)) {
  const sent: { type: string }[] = [];
  const events: string[] = [];
  const socket = {
    send: (text: string) => sent.push(JSON.parse(text)),
    close: (code: number) => void events.push(`close ${code}`),
    terminate: () => void events.push("terminate"),
  };
  const owner: ConnectionOwner = {
    pid: 1,
    offer: { mode: "live", tools: [] },
    receiveReply: () => events.push("reply"),
    receiveCall: ({ name }) => events.push(`call ${name}`),
    receiveCancel: (id) => events.push(`cancel ${id}`),
    receiveListed: (revision) => events.push(`listed ${revision}`),
    attach: () => events.push("attach"),
    detach: () => events.push("detach"),
  };
  const connection = new Connection(socket, owner, pings);
  connections.push(connection);
  const receive = (frame: object) => connection.receive(JSON.stringify(frame));
  return { connection, receive, sent, events };
}
const hello = {
  type: "hello",
  protocol: PROTOCOL,
  pid: 42,
  openclaw_session: "x",
  claude_session: "y",
  plugin_version: "test",
};

describe("the first frame", () => {
  test("attaches the connection if it is a hello, and is answered with the offer", () => {
    const { connection, receive, sent, events } = connect();
    receive(hello);

    expect([connection.pid, events]).toEqual([42, ["attach"]]);
    expect(sent).toEqual([{ type: "hello_ack", protocol: PROTOCOL, mode: "live", tools: [] }] as never);
  });

  test.each<[what: string, frame: object, code: number]>([
    ["is no hello", { type: "ping" }, CLOSE.EXPECTED_HELLO],
    ["is unknown", { type: "greeting" }, CLOSE.EXPECTED_HELLO],
    ["has another protocol", { ...hello, protocol: PROTOCOL + 1 }, CLOSE.PROTOCOL],
  ])("closes the connection if it %s", (_what, frame, code) => {
    const { receive, events } = connect();
    receive(frame);

    expect(events).toEqual([`close ${code}`]);
  });
});

describe("a later frame", () => {
  test("reaches the process", () => {
    const { receive, events } = connect();
    for (const frame of [
      hello,
      { type: "reply", content: "hi" },
      { type: "tool_call", id: "t", name: "a", arguments: {} },
      { type: "tool_cancel", id: "t" },
      { type: "tools_listed", revision: 3 },
    ]) {
      receive(frame);
    }

    expect(events).toEqual(["attach", "reply", "call a", "cancel t", "listed 3"]);
  });

  test("is ignored if it is invalid or a second hello", () => {
    const { connection, receive, events } = connect();
    receive(hello);
    receive(hello);
    receive({ type: "unknown" });
    connection.receive("not JSON");

    expect(events).toEqual(["attach"]);
  });

  test("closes the connection if it is too large", () => {
    const { connection, receive, events } = connect();
    receive(hello);
    connection.receive("x".repeat(MAX_FRAME_BYTES + 1));

    expect(events).toEqual(["attach", `close ${CLOSE.TOO_LARGE}`]);
  });
});

test("a connection that closes is detached only after its hello", () => {
  const [greeted, silent] = [connect(), connect()];
  greeted.receive(hello);
  greeted.connection.closed();
  silent.connection.closed();

  expect([greeted.events, silent.events]).toEqual([["attach", "detach"], []]);
});

describe("with a clock that the test moves", () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  test("a plugin that is silent for two pings is disconnected at the third", () => {
    const { events, sent } = connect(new Pings(PING_MS));
    jest.advanceTimersByTime(2 * PING_MS);
    expect([sent, events]).toEqual([[{ type: "ping" }, { type: "ping" }] as never, []]);

    jest.advanceTimersByTime(PING_MS);
    expect(events).toEqual(["terminate"]);
  });

  test("all plugins are pinged at the same time, so that the server wakes up once for all", () => {
    const pings = new Pings(PING_MS);
    const first = connect(pings);
    jest.advanceTimersByTime(PING_MS / 2);
    const second = connect(pings);
    expect(jest.getTimerCount()).toBe(1);
    jest.advanceTimersByTime(PING_MS / 2);
    expect([first.sent, second.sent]).toEqual([[{ type: "ping" }], [{ type: "ping" }]]);

    first.connection.closed();
    second.connection.closed();
    expect(jest.getTimerCount()).toBe(0);
  });

  test("a plugin that answers pings stays connected", () => {
    const { events, receive } = connect(new Pings(PING_MS));
    receive(hello);
    for (let ping = 0; ping < 6; ping += 1) {
      jest.advanceTimersByTime(PING_MS);
      receive({ type: "pong" });
    }

    expect(events).toEqual(["attach"]);
  });
});
