/** A session's terminal over HTTP: all of it first, then what is drawn; viewers come and go, and hold nobody up. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { connect } from "node:net";
import { createScreen, type Screen } from "../../src/claude/interactive/screen.ts";
import { screenEvent } from "../../src/wire/screen.ts";
import { at, control, controlKey } from "../support/control.ts";
import { ask, events } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
beforeEach(async () => {
  world = await createWorld({ standIn: true });
  await say("hello");
});
afterEach(() => world[Symbol.asyncDispose]());

const say = async (content: string) =>
  (await world.server.post(ask(content, { user: "me", stream: false }))).json() as Promise<object>;
const path = `${at("user:me")}/screen`;

/** Looks at the session's terminal. */
async function look() {
  const leaving = new AbortController();
  const response = await control(world, path, { signal: leaving.signal });
  const stream = (events(response) as AsyncGenerator<unknown>)[Symbol.asyncIterator]();
  const screen: Screen = createScreen();
  const read = async () => {
    const { done, value } = await stream.next();
    return done ? null : screenEvent.parse(value);
  };
  const first = await read();
  return {
    response,
    first,
    /** Draws what comes until a line of it matches; gives all that is to be seen. */
    until: async (match: RegExp): Promise<string> => {
      while (!match.test(screen.text())) {
        const event = await read();
        if (event?.type !== "output") throw new Error(`the screen ended before ${match}`);
        // Drawn a little later, in order.
        await new Promise<void>((drawn) => screen.write(Buffer.from(event.bytes, "base64"), drawn));
      }
      return screen.text();
    },
    /** The last event there is. */
    last: async () => {
      let event = await read();
      for (let more: typeof event = event; more; more = await read()) event = more;
      return event;
    },
    leave: () => leaving.abort(),
  };
}

test("it begins with all that is drawn, in claude's own size, and goes on with what claude draws", async () => {
  const viewer = await look();
  expect(viewer.response.headers.get("content-type")).toBe("text/event-stream");
  expect(viewer.first).toEqual({ type: "size", columns: 120, rows: 40 });
  expect(await viewer.until(/120 columns/)).toStartWith("stand-in in red");
  await say("draw 3");
  expect(await viewer.until(/drawn 2/)).toContain("drawn 0");
  viewer.leave();
});

test("any number may look; one that leaves takes nobody's picture away, and leaves nothing behind", async () => {
  const viewers = await Promise.all([look(), look(), look()]);
  await Promise.all(viewers.map((viewer) => viewer.until(/120 columns/)));
  viewers[0]?.leave();
  await world.server.logged(/screen viewer disconnected.*"viewers":2/);
  await say("draw 3");
  for (const viewer of viewers.slice(1)) await viewer.until(/drawn 2/);
  for (const viewer of viewers) viewer.leave();
  await world.server.logged(/screen viewer disconnected.*"viewers":0/);
  expect(await say("after")).toMatchObject({ choices: [{ message: { content: "You said: after" } }] });
});

test("it ends with its claude", async () => {
  const viewer = await look();
  await viewer.until(/120 columns/);
  const last = viewer.last();
  await control(world, `${at("user:me")}/reset`, { method: "POST" });
  expect(await last).toEqual({ type: "end" });
  await world.server.logged(/screen viewer disconnected.*"viewers":0/);
});

test("one who does not read is dropped; the turn goes on, and others may look", async () => {
  const { host, port } = new URL(world.server.url);
  const idler = connect(Number(port), "127.0.0.1");
  const closed = new Promise((resolve) => idler.on("close", resolve));
  idler.pause();
  idler.write(
    `GET /v1/sessions${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${controlKey(world)}\r\n\r\n`,
  );
  await world.server.logged(/screen viewer connected/);
  expect(await say("draw 150000")).toMatchObject({ choices: [{ message: { content: "You said: draw 150000" } }] });
  await world.server.logged(/screen viewer reads too slowly/);
  await world.server.logged(/screen viewer disconnected.*"viewers":0/);
  // What lies in the sockets it still gets, and then the end.
  idler.resume();
  await closed;
  const viewer = await look();
  await viewer.until(/120 columns/);
  viewer.leave();
});

test("HEAD has its headers, and leaves no viewer behind", async () => {
  const response = await control(world, path, { method: "HEAD" });
  expect([response.status, response.headers.get("content-type"), response.headers.get("cache-control")]).toEqual([
    200,
    "text/event-stream",
    "no-cache",
  ]);
  expect(await response.text()).toBe("");
  expect(await world.server.logged(/screen viewer disconnected/)).toContain('"viewers":0');
});
