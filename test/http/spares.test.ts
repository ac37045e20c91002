/** Prewarmed processes: they are stopped first, and a failed one is not restarted in a loop. */
import { expect, test } from "bun:test";
import { descendants, withCommand } from "../support/processes.ts";
import { ask, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

const say = async (world: World, content: string, user: string, more: object = {}) => {
  const response = await world.server.post(ask(content, { user, ...more }));
  const answer = (await Array.fromAsync(texts(response))).join("");
  return { answer, origin: response.headers.get("x-synthesis-process") };
};
const spareReady = (world: World) => world.server.logged(/claude ready.*"spare:/);

test("a prewarmed process is stopped before the process of any conversation", async () => {
  await using world = await createWorld({
    standIn: true,
    env: { SYNTHESIS_SPARES: "1", SYNTHESIS_MAX_PROCESSES: "2" },
  });
  await say(world, "one", "a");
  await spareReady(world);
  expect((await say(world, "uno", "b", { model: "haiku" })).origin).toBe("cold");
  expect((await say(world, "two", "a")).origin).toBe("warm");
});

test("no process is prewarmed when only one may run", async () => {
  await using world = await createWorld({
    standIn: true,
    env: { SYNTHESIS_SPARES: "1", SYNTHESIS_MAX_PROCESSES: "1" },
  });
  expect((await say(world, "one", "a")).origin).toBe("cold");
  expect((await say(world, "uno", "b")).origin).toBe("cold");
  expect((await say(world, "two", "a")).origin).toBe("resumed");
  expect(world.server.log()).not.toContain("spare:");
});

test("a killed one is replaced only after the next conversation has started", async () => {
  await using world = await createWorld({ standIn: true, env: { SYNTHESIS_SPARES: "1" } });
  await say(world, "one", "a");
  const pid = Number(/"pid":(\d+)/.exec(await spareReady(world))?.[1]);
  process.kill(pid, "SIGKILL");
  await world.server.logged(new RegExp(`claude exited.*"pid":${pid}`));
  // The next conversation finds no prewarmed process and starts one of its own.
  expect(await say(world, "uno", "b")).toEqual({ answer: "You said: uno", origin: "cold" });
  await world.server.logged(new RegExp(`claude ready.*"spare:.*"pid":(?!${pid})`));
  expect((await say(world, "due", "c")).origin).toBe("spare");
});

test("prewarmed processes exit with the server", async () => {
  await using world = await createWorld({ standIn: true, env: { SYNTHESIS_SPARES: "2" } });
  await say(world, "one", "a");
  await say(world, "uno", "b");
  const pid = Number(/"pid":(\d+)/.exec(await spareReady(world))?.[1]);
  await world.server.stop();
  expect(withCommand([pid], /./)).toEqual([]);
  expect(descendants(world.server.pid)).toEqual([]);
});
