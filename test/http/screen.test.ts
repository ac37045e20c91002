/** The terminal of a session over HTTP. Viewers do not disturb the conversation or each other. */
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

/** Connects a viewer to the terminal of the session. */
async function connectViewer() {
  const client = new AbortController();
  const response = await control(world, path, { signal: client.signal });
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
    /** Draws output until the screen matches. @returns the text on the screen */
    until: async (match: RegExp): Promise<string> => {
      while (!match.test(screen.text())) {
        const event = await read();
        if (event?.type !== "output") throw new Error(`the screen ended before ${match}`);
        // The terminal draws asynchronously.
        await new Promise<void>((drawn) => screen.write(Buffer.from(event.bytes, "base64"), drawn));
      }
      return screen.text();
    },
    /** Reads to the end. @returns the last event */
    last: async () => {
      let event = await read();
      for (let more: typeof event = event; more; more = await read()) event = more;
      return event;
    },
    disconnect: () => client.abort(),
  };
}

test("a viewer gets the size, then the whole screen, then new output", async () => {
  const viewer = await connectViewer();
  expect(viewer.response.headers.get("content-type")).toBe("text/event-stream");
  expect(viewer.first).toEqual({ type: "size", columns: 120, rows: 40 });
  expect(await viewer.until(/120 columns/)).toStartWith("stand-in in red");
  await say("draw 3");
  expect(await viewer.until(/drawn 2/)).toContain("drawn 0");
  viewer.disconnect();
});

test("several viewers can watch, and the others continue when one disconnects", async () => {
  const viewers = await Promise.all([connectViewer(), connectViewer(), connectViewer()]);
  await Promise.all(viewers.map((viewer) => viewer.until(/120 columns/)));
  viewers[0]?.disconnect();
  await world.server.logged(/screen viewer disconnected.*"viewers":2/);
  await say("draw 3");
  for (const viewer of viewers.slice(1)) await viewer.until(/drawn 2/);
  for (const viewer of viewers) viewer.disconnect();
  await world.server.logged(/screen viewer disconnected.*"viewers":0/);
  expect(await say("after")).toMatchObject({ choices: [{ message: { content: "You said: after" } }] });
});

test("the stream ends when the process exits", async () => {
  const viewer = await connectViewer();
  await viewer.until(/120 columns/);
  const last = viewer.last();
  await control(world, `${at("user:me")}/reset`, { method: "POST" });
  expect(await last).toEqual({ type: "end" });
  await world.server.logged(/screen viewer disconnected.*"viewers":0/);
});

test("a viewer that does not read is disconnected, and the turn continues", async () => {
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
  // The viewer still gets what is in the socket buffers, and then the end of the stream.
  idler.resume();
  await closed;
  const viewer = await connectViewer();
  await viewer.until(/120 columns/);
  viewer.disconnect();
});

test("HEAD gets the headers, and its viewer is removed", async () => {
  const response = await control(world, path, { method: "HEAD" });
  expect([response.status, response.headers.get("content-type"), response.headers.get("cache-control")]).toEqual([
    200,
    "text/event-stream",
    "no-cache",
  ]);
  expect(await response.text()).toBe("");
  expect(await world.server.logged(/screen viewer disconnected/)).toContain('"viewers":0');
});
