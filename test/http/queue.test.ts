/** Too many messages for too few processes: who waits, who is turned away, and who is served first. */
import { expect, test } from "bun:test";
import { ask, events, next, postUntilSent, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

const whole = (content: string, user: string) => ask(content, { user, stream: false });
const code = async (response: Response) => ((await response.json()) as { error: { code: string } }).error.code;

/** Takes a process for a turn that ends when its client leaves. */
async function occupy(world: World, user: string) {
  const leaving = new AbortController();
  const { response } = await postUntilSent(world.server, ask("hang", { user }), `user:${user}`, leaving.signal);
  return () => {
    leaving.abort();
    // Held on to until now: an answer that nobody holds is collected, and its client leaves by itself.
    return response.catch(() => {});
  };
}

test("all busy: the next ones wait, those too many are told when to come back, at once", async () => {
  await using world = await createWorld({
    standIn: true,
    env: { SYNTHESIS_MAX_PROCESSES: "1", SYNTHESIS_MAX_QUEUE: "2" },
  });
  const free = await occupy(world, "busy");
  const waiting = ["a", "b"].map((user) => world.server.post(whole("hello", user)));
  let refused: Response;
  // The two are on their way; the third request that arrives is the one too many.
  do refused = await world.server.post(whole("hello", "c"), {}, AbortSignal.timeout(5_000));
  while (refused.status === 200);
  expect([refused.status, await code(refused)]).toEqual([429, "queue_full"]);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  const ready = async () => {
    const response = await fetch(`${world.server.url}/ready`);
    return [response.status, await response.json()];
  };
  expect(await ready()).toEqual([503, { ready: false, reason: "queue_full" }]);
  free();
  for (const response of await Promise.all(waiting)) expect(response.status).toBe(200);
  expect(await ready()).toEqual([200, { ready: true }]);
});

test("one conversation cannot fill the queue: 16 wait in it, the next is turned away", async () => {
  await using world = await createWorld({ standIn: true });
  const free = await occupy(world, "me");
  const waiting = Array.from({ length: 16 }, () => world.server.post(ask("hello", { user: "me" })));
  let refused: Response;
  // They are on their way; the seventeenth that arrives is the one too many.
  do refused = await world.server.post(whole("hello", "me"), {}, AbortSignal.timeout(5_000));
  while (refused.status === 200);
  expect([refused.status, await code(refused)]).toEqual([429, "queue_full"]);
  // Another conversation is not concerned.
  expect((await world.server.post(whole("hello", "you"))).status).toBe(200);
  free();
  for (const response of await Promise.all(waiting))
    expect((await Array.fromAsync(texts(response))).join("")).toBe("You said: hello");
});

test("a conversation with much to say gives its place to those who wait", async () => {
  await using world = await createWorld({ standIn: true, env: { SYNTHESIS_MAX_PROCESSES: "1" } });
  const free = await occupy(world, "greedy");
  const order: string[] = [];
  const note = async (name: string, response: Promise<Response>) => {
    await (await response).text();
    order.push(name);
  };
  const greedy: Promise<void>[] = [];
  for (const turn of [1, 2, 3])
    greedy.push(note(`greedy ${turn}`, world.server.post(ask(`${turn}`, { user: "greedy" }))));
  const patient = note("patient", world.server.post(whole("hello", "patient")));
  await world.server.logged(/turn waits for a process slot/);
  free();
  await Promise.all([...greedy, patient]);
  expect(order.indexOf("patient")).toBeLessThan(order.indexOf("greedy 3"));
  expect(order.filter((name) => name.startsWith("greedy"))).toEqual(["greedy 1", "greedy 2", "greedy 3"]);
});

test("a message that is not taken is sent once more, and claude is restarted when that does not help", async () => {
  await using world = await createWorld({ standIn: true, env: { SYNTHESIS_RECEIPT_TIMEOUT_MS: "200" } });
  const once = await world.server.post(whole("deaf once", "me"));
  expect(await once.json()).toMatchObject({ choices: [{ message: { content: "You said: deaf once" } }] });
  const never = await world.server.post(whole("deaf", "me"));
  expect([never.status, await code(never)]).toEqual([503, "message_not_received"]);
  const after = await world.server.post(whole("hello", "me"));
  expect([after.status, after.headers.get("x-synthesis-process")]).toEqual([200, "resumed"]);
});

test("one who waits gets the stream with the first heartbeat", async () => {
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

test("a turn that takes too long, and one without a sign of life, are ended; the next one works", async () => {
  for (const setting of ["SYNTHESIS_TURN_TIMEOUT_MS", "SYNTHESIS_PROGRESS_TIMEOUT_MS"]) {
    await using world = await createWorld({ standIn: true, env: { [setting]: "300" } });
    const late = await world.server.post(whole("hang", "me"));
    expect([late.status, await code(late)]).toEqual([504, "turn_timeout"]);
    const after = await world.server.post(whole("hello", "me"));
    expect([after.status, after.headers.get("x-synthesis-process")]).toEqual([200, "warm"]);
  }
});
