/** `/bridge` with peers that misbehave. A test uses the tokens of a stand-in to take the place of its plugin. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHttpWorld, HELLO, type HttpWorld } from "../support/http-world.ts";

let world: HttpWorld;
beforeAll(async () => {
  world = await createHttpWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

test("closes a connection with 4003 if its token belongs to no process", async () => {
  for (const token of ["", "wrong", world.server.key]) expect(await world.connectBridge(token).closed).toBe(4003);
});

test("rejects a web page, even with a valid token", async () => {
  const { SYNTHESIS_BRIDGE_TOKEN: token = "" } = await world.startConversation("page");
  expect(await world.connectBridge(token, { origin: "http://evil.example" }).closed).not.toBe(1000);
});

describe("with a valid token", () => {
  const firstFrames: [what: string, frame: unknown, code: number][] = [
    ["a first frame that is not hello", { type: "ping" }, 4001],
    ["a first frame that is not JSON", "hello", 4001],
    ["an incomplete hello", { type: "hello" }, 4001],
    ["an unknown protocol", { ...HELLO, protocol: 99 }, 4004],
    ["a frame that is too large", "x".repeat(1024 * 1024 + 1), 4005],
  ];
  test.each(firstFrames)(
    "%s closes the connection, and the plugin's own connection stays",
    async (what, frame, code) => {
      const { SYNTHESIS_BRIDGE_TOKEN: token = "" } = await world.startConversation(what);
      const peer = world.connectBridge(token);
      await peer.opened;
      peer.send(frame);
      expect(await peer.closed).toBe(code);
      expect(await world.say("still there", what)).toBe("You said: still there");
    },
  );

  test("a second connection replaces the first one, which is closed with 4002", async () => {
    const { SYNTHESIS_BRIDGE_TOKEN: token = "" } = await world.startConversation("replaced");
    const first = world.connectBridge(token);
    await first.opened;
    first.send(HELLO);
    expect(await first.next()).toEqual({ type: "hello_ack", protocol: 1, mode: "live", tools: [] });
    const second = world.connectBridge(token);
    await second.opened;
    second.send(HELLO);
    expect(await first.closed).toBe(4002);
    second.close();
  });

  test("invalid frames, unknown frames and a second hello are ignored", async () => {
    const { SYNTHESIS_BRIDGE_TOKEN: token = "" } = await world.startConversation("patient");
    const peer = world.connectBridge(token);
    await peer.opened;
    for (const frame of [HELLO, HELLO, { type: "shout" }, [], { type: "ping", extra: 1 }, "{", { type: "ping" }]) {
      peer.send(frame);
    }
    expect(await peer.next()).toMatchObject({ type: "hello_ack" });
    expect(await peer.next()).toEqual({ type: "pong" });
    peer.close();
  });
});

test("a plugin that answers neither of two pings is disconnected", async () => {
  await using quick = await createHttpWorld({ env: { SYNTHESIS_BRIDGE_PING_MS: "500" } });
  const { SYNTHESIS_BRIDGE_TOKEN: token = "" } = await quick.startConversation("silent");
  const peer = quick.connectBridge(token);
  await peer.opened;
  peer.send(HELLO);
  await peer.closed;
  expect(await quick.server.logged(/plugin silent/)).toBeString();
});
