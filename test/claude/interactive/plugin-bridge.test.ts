import { describe, expect, test } from "bun:test";
import { Connection } from "../../../src/claude/interactive/connection.ts";
import { Pings } from "../../../src/claude/interactive/pings.ts";
import { PluginBridge } from "../../../src/claude/interactive/plugin-bridge.ts";
import { OfferedTools } from "../../../src/claude/offered-tools.ts";
import { CLOSE, PROTOCOL } from "../../../src/wire/frames.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { catalogueOf } from "../launch-spec.ts";

const GRACE_MS = 10_000;
const PING_MS = 60 * 60_000;

/** The bridge of a process, and plugins that connect to it. */
function createBridge() {
  const clock = new ManualClock();
  const events: string[] = [];
  const bridge: PluginBridge = new PluginBridge({
    tools: new OfferedTools(
      catalogueOf("a"),
      (frame) => void bridge.push(frame),
      () => ({ session: "user:test", pid: 1 }),
      clock,
    ),
    mode: "live",
    clock,
    pid: () => 1,
    isReady: () => true,
    onActivity: () => {},
    onReply: ({ content }) => events.push(`reply ${content}`),
    onCall: ({ name }) => events.push(`call ${name}`),
    onCancel: (id) => events.push(`cancel ${id}`),
    onConnection: (isOpen) => events.push(isOpen ? "open" : "closed"),
  });
  const connect = () => {
    const closed: number[] = [];
    const sent: string[] = [];
    const socket = {
      send: (text: string) => sent.push(text),
      close: (code: number) => void closed.push(code),
      terminate: () => {},
    };
    const connection = new Connection(socket, bridge, new Pings(PING_MS));
    const receive = (frame: object) => connection.receive(JSON.stringify(frame));
    receive({
      type: "hello",
      protocol: PROTOCOL,
      pid: 42,
      openclaw_session: "user:test",
      claude_session: crypto.randomUUID(),
      plugin_version: "test",
    });
    return { receive, sent, closed, drop: () => connection.closed() };
  };
  return { bridge, clock, events, connect };
}

const reply = (id: string, content: string) => ({ type: "reply", id, content, final: true });

describe("a plugin that connects", () => {
  test("opens the bridge and tells Claude Code's process id", () => {
    const { bridge, events, connect } = createBridge();
    expect([bridge.isOpen, bridge.claudePid]).toEqual([false, null]);
    connect();

    expect([bridge.isOpen, bridge.claudePid, events]).toEqual([true, 42, ["open"]]);
  });

  test("replaces an earlier connection, whose end then does not matter", () => {
    const { bridge, connect } = createBridge();
    const first = connect();
    connect();
    expect(first.closed).toEqual([CLOSE.REPLACED]);

    first.drop();
    expect(bridge.isOpen).toBe(true);
  });
});

describe("a plugin whose connection drops", () => {
  test("is waited for until it reconnects", async () => {
    const { bridge, clock, connect } = createBridge();
    connect().drop();
    const isConnected = bridge.isConnected();
    await clock.pass(GRACE_MS / 2);
    connect();

    expect(await isConnected).toBe(true);
    expect(clock.timers).toBe(0);
  });

  test("counts as disconnected when it does not reconnect in time", async () => {
    const { bridge, clock, connect } = createBridge();
    connect().drop();
    const isConnected = bridge.isConnected();
    await clock.pass(GRACE_MS);

    expect(await isConnected).toBe(false);
    expect(await bridge.isConnected()).toBe(false);
  });

  test("is not waited for after the process has exited", async () => {
    const { bridge, connect } = createBridge();
    connect().drop();
    const isConnected = bridge.isConnected();
    bridge.close();

    expect(await isConnected).toBe(false);
  });
});

describe("a reply", () => {
  test("that the plugin sends again with the same id is taken once, and acknowledged each time", () => {
    const { events, connect } = createBridge();
    const { receive, sent } = connect();
    receive(reply("r1", "hi"));
    receive(reply("r1", "hi"));
    receive(reply("r2", "hi"));

    expect(events).toEqual(["open", "reply hi", "reply hi"]);
    expect(sent.filter((text) => JSON.parse(text).type === "reply_ack")).toHaveLength(3);
  });
});

test("a push fails while no plugin is connected", () => {
  const { bridge } = createBridge();

  expect(bridge.push({ type: "tools", revision: 1, tools: [] })).toBe(false);
});
