/** On the real claude: interrupt, reset and delete a conversation during a turn. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { at, control } from "../support/control.ts";
import { text } from "../support/mock-anthropic.ts";
import { waitForExit } from "../support/processes.ts";
import { ask, events, next, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
  world.mock.on(/forever/, async function* () {
    yield text("I begin\n\n");
    await new Promise(() => {});
  });
});
afterAll(() => world[Symbol.asyncDispose]());

const say = async (content: string) => {
  const response = await world.server.post(ask(content, { user: "me" }));
  return [(await Array.fromAsync(texts(response))).join(""), response.headers.get("x-synthesis-process")];
};
/** Starts a turn that does not end by itself. `end` returns the last event of its answer. */
const begin = async (content: string) => {
  const stream = events(await world.server.post(ask(content, { user: "me" })));
  while (!JSON.stringify(await next(stream)).includes("I begin"));
  return { end: async () => (await Array.fromAsync(stream)).at(-2) };
};
const interrupted = { error: { code: "turn_interrupted" } };
const session = async () => (await (await control(world, at("user:me"))).json()) as { pid: number };
const transcripts = () =>
  Array.fromAsync(new Bun.Glob("*/*.jsonl").scan({ cwd: `${world.claude.home}/.claude/projects`, dot: true }));

test("interrupt keeps the process, reset starts a new Claude session, and delete removes the transcripts", async () => {
  await say("my first word");
  const first = await begin("go on forever");
  await control(world, `${at("user:me")}/interrupt`, { method: "POST" });
  expect(await first.end()).toMatchObject(interrupted);
  expect(await say("my second word")).toEqual(["You said: my second word", "warm"]);
  expect((await world.mock.request(/my second word/)).shown).toContain("my first word");

  const second = await begin("again forever");
  const { pid } = await session();
  const reset = control(world, `${at("user:me")}/reset`, { method: "POST" });
  expect(await second.end()).toMatchObject(interrupted);
  expect(await say("my third word")).toEqual(["You said: my third word", "cold"]);
  expect((await reset).status).toBe(200);
  await waitForExit([pid]);
  expect((await world.mock.request(/my third word/)).shown).not.toContain("my first word");
  // Claude writes the new transcript a moment after its answer. The old one must still be there.
  while ((await transcripts()).length < 2) await Bun.sleep(20);

  const third = await begin("once more forever");
  const removed = control(world, `${at("user:me")}?transcript=1`, { method: "DELETE" });
  expect(await third.end()).toMatchObject(interrupted);
  expect((await removed).status).toBe(200);
  expect(await transcripts()).toEqual([]);
  expect((await control(world, at("user:me"))).status).toBe(404);
});
