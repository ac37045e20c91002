/** More messages than processes: which of them wait, which are rejected, and in which order they are served. */
import { expect, test } from "bun:test";
import { at, control } from "../support/control.ts";
import { ask, events, next, postUntilSent, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

const unstreamed = (content: string, user: string) => ask(content, { user, stream: false });
const code = async (response: Response) => ((await response.json()) as { error: { code: string } }).error.code;

/** Occupies a process with a turn that ends when its client disconnects. @returns the disconnection */
async function occupy(world: World, user: string) {
  const client = new AbortController();
  const { response } = await postUntilSent(world.server, ask("hang", { user }), `user:${user}`, client.signal);
  return () => {
    client.abort();
    // The reference keeps the response alive. Without it the garbage collector would abort the request early.
    return response.catch(() => {});
  };
}

/** Waits until this many messages of a conversation wait. Requests that are sent together may arrive in any order. */
async function untilWaiting(world: World, user: string, count: number): Promise<void> {
  const waiting = async () =>
    ((await (await control(world, at(`user:${user}`))).json()) as { waiting: number }).waiting;
  while ((await waiting()) !== count) await Bun.sleep(10);
}

test("when all processes are busy, messages wait up to the limit, and the next one gets a 429 with Retry-After", async () => {
  await using world = await createWorld({
    standIn: true,
    env: { SYNTHESIS_MAX_PROCESSES: "1", SYNTHESIS_MAX_QUEUE: "2" },
  });
  const ready = async () => {
    const response = await fetch(`${world.server.url}/ready`);
    return [response.status, await response.json()];
  };
  const free = await occupy(world, "busy");
  expect(await ready()).toEqual([200, { ready: true }]);
  const waiting = ["a", "b"].map((user) => world.server.post(unstreamed("hello", user)));
  while ((await ready())[0] !== 503) await Bun.sleep(10);
  const rejected = await world.server.post(unstreamed("hello", "c"));
  expect([rejected.status, await code(rejected)]).toEqual([429, "queue_full"]);
  expect(Number(rejected.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  expect(await ready()).toEqual([503, { ready: false, reason: "queue_full" }]);
  free();
  for (const response of await Promise.all(waiting)) expect(response.status).toBe(200);
  expect(await ready()).toEqual([200, { ready: true }]);
});

test("16 messages can wait in one conversation, and the next one is rejected", async () => {
  await using world = await createWorld({ standIn: true });
  const free = await occupy(world, "me");
  const waiting = Array.from({ length: 16 }, () => world.server.post(ask("hello", { user: "me" })));
  await untilWaiting(world, "me", 16);
  const rejected = await world.server.post(unstreamed("hello", "me"));
  expect([rejected.status, await code(rejected)]).toEqual([429, "queue_full"]);
  // Another conversation still accepts messages.
  expect((await world.server.post(unstreamed("hello", "you"))).status).toBe(200);
  free();
  for (const response of await Promise.all(waiting))
    expect((await Array.fromAsync(texts(response))).join("")).toBe("You said: hello");
});

test("a conversation with many messages releases its process slot to others that wait", async () => {
  await using world = await createWorld({ standIn: true, env: { SYNTHESIS_MAX_PROCESSES: "1" } });
  const free = await occupy(world, "greedy");
  const order: string[] = [];
  const note = async (name: string, response: Promise<Response>) => {
    await (await response).text();
    order.push(name);
  };
  const greedy: Promise<void>[] = [];
  for (const turn of [1, 2, 3]) {
    greedy.push(note(`greedy ${turn}`, world.server.post(ask(`${turn}`, { user: "greedy" }))));
    await untilWaiting(world, "greedy", turn);
  }
  const patient = note("patient", world.server.post(unstreamed("hello", "patient")));
  await world.server.logged(/turn waits for a process slot/);
  free();
  await Promise.all([...greedy, patient]);
  expect(order.indexOf("patient")).toBeLessThan(order.indexOf("greedy 3"));
  expect(order.filter((name) => name.startsWith("greedy"))).toEqual(["greedy 1", "greedy 2", "greedy 3"]);
});

test("a message without a receipt is sent once more, and then its process is restarted", async () => {
  await using world = await createWorld({ standIn: true, env: { SYNTHESIS_RECEIPT_TIMEOUT_MS: "1000" } });
  const once = await world.server.post(unstreamed("deaf once", "me"));
  expect(await once.json()).toMatchObject({ choices: [{ message: { content: "You said: deaf once" } }] });
  const never = await world.server.post(unstreamed("deaf", "me"));
  expect([never.status, await code(never)]).toEqual([503, "message_not_received"]);
  const after = await world.server.post(unstreamed("hello", "me"));
  expect([after.status, after.headers.get("x-synthesis-process")]).toEqual([200, "resumed"]);
});

test("a client that waits for a process gets heartbeats", async () => {
  await using world = await createWorld({
    standIn: true,
    env: { SYNTHESIS_MAX_PROCESSES: "1", SYNTHESIS_SSE_HEARTBEAT_MS: "50" },
  });
  const free = await occupy(world, "busy");
  const response = await world.server.post(ask("hello", { user: "patient" }));
  expect(response.headers.get("x-synthesis-process")).toBe("waiting");
  const stream = events(response);
  await next(stream);
  expect(JSON.stringify(await next(stream))).toContain('"content":""');
  free();
  expect(JSON.stringify(await Array.fromAsync(stream))).toContain("You said: hello");
});

test("a turn that takes too long or makes no progress times out, and the next one works", async () => {
  for (const setting of ["SYNTHESIS_TURN_TIMEOUT_MS", "SYNTHESIS_PROGRESS_TIMEOUT_MS"]) {
    await using world = await createWorld({ standIn: true, env: { [setting]: "2000" } });
    const late = await world.server.post(unstreamed("hang", "me"));
    expect([late.status, await code(late)]).toEqual([504, "turn_timeout"]);
    const after = await world.server.post(unstreamed("hello", "me"));
    expect([after.status, after.headers.get("x-synthesis-process")]).toEqual([200, "warm"]);
  }
});
