/** claudes are kept within the memory that they may take: idle ones make room, and one that has grown is restarted. */
import { expect, test } from "bun:test";
import { descendants, withCommand } from "../support/processes.ts";
import { ask, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

const say = async (world: World, content: string, user: string) => {
  const response = await world.server.post(ask(content, { user }));
  const answer = (await Array.fromAsync(texts(response))).join("");
  return { answer, found: response.headers.get("x-synthesis-process") };
};
const running = (world: World) => withCommand(descendants(world.server.pid), /stand-in-claude/).length;

test("one claude may run however large it is; the next waits until it is idle, and it ends for it", async () => {
  await using world = await createWorld({ standIn: true, env: { SYNTHESIS_MEMORY_MB: "1" } });
  expect(await say(world, "one", "a")).toEqual({ answer: "You said: one", found: "cold" });
  expect(await say(world, "uno", "b")).toEqual({ answer: "You said: uno", found: "cold" });
  expect(running(world)).toBe(1);
  expect(await say(world, "two", "a")).toEqual({ answer: "You said: two", found: "resumed" });
});

test("when together they have grown beyond the budget, the one idle longest ends", async () => {
  // Two are expected to fit: what has not been measured counts as 250 MB.
  await using world = await createWorld({ standIn: true, env: { SYNTHESIS_MEMORY_MB: "500" } });
  await say(world, "uno", "b");
  await say(world, "one", "a");
  await say(world, "grow 600", "a");
  await world.server.logged(/to save memory.*"user:b"/);
  await world.server.logged(/claude exited.*"user:b"/);
  // The last one stays, though it is too large.
  expect((await say(world, "two", "a")).found).toBe("warm");
});

test("one that has grown too large is restarted while nobody waits for it, and remembers", async () => {
  await using world = await createWorld({ standIn: true, env: { SYNTHESIS_PROCESS_MEMORY_MB: "300" } });
  await say(world, "grow 400", "a");
  await world.server.logged(/claude has grown too large/);
  await world.server.logged(/claude exited.*"user:a"/);
  await world.server.logged(/claude started.*"resume":true/);
  expect(await say(world, "two", "a")).toEqual({ answer: "You said: two", found: "warm" });
});
