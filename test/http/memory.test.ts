/** Processes stay within the memory budget: idle ones are stopped, and one that has grown too large is restarted. */
import { expect, test } from "bun:test";
import { descendants, withCommand } from "../support/processes.ts";
import { ask, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

const say = async (world: World, content: string, user: string) => {
  const response = await world.server.post(ask(content, { user }));
  const answer = (await Array.fromAsync(texts(response))).join("");
  return { answer, origin: response.headers.get("x-synthesis-process") };
};
const running = (world: World) => withCommand(descendants(world.server.pid), /stand-in-claude/).length;

test("one process may run whatever its size, and is stopped for the next one when it is idle", async () => {
  await using world = await createWorld({ standIn: true, env: { SYNTHESIS_MEMORY_MB: "1" } });
  expect(await say(world, "one", "a")).toEqual({ answer: "You said: one", origin: "cold" });
  expect(await say(world, "uno", "b")).toEqual({ answer: "You said: uno", origin: "cold" });
  expect(running(world)).toBe(1);
  expect(await say(world, "two", "a")).toEqual({ answer: "You said: two", origin: "resumed" });
});

test("the process that is idle longest is stopped when all together exceed the budget", async () => {
  // The budget admits two processes: one that has not been measured counts as 250 MB.
  await using world = await createWorld({ standIn: true, env: { SYNTHESIS_MEMORY_MB: "500" } });
  await say(world, "uno", "b");
  await say(world, "one", "a");
  await say(world, "grow 600", "a");
  await world.server.logged(/to save memory.*"user:b"/);
  await world.server.logged(/claude exited.*"user:b"/);
  // The last process stays, although it exceeds the budget.
  expect((await say(world, "two", "a")).origin).toBe("warm");
});

test("a process that has grown too large is restarted between two turns, and resumes its session", async () => {
  await using world = await createWorld({ standIn: true, env: { SYNTHESIS_PROCESS_MEMORY_MB: "300" } });
  await say(world, "grow 400", "a");
  await world.server.logged(/claude has grown too large/);
  await world.server.logged(/claude exited.*"user:a"/);
  await world.server.logged(/claude started.*"resume":true/);
  expect(await say(world, "two", "a")).toEqual({ answer: "You said: two", origin: "warm" });
});
