/** Spares take nothing from anybody: they go first, and one that fails is not tried for ever. */
import { expect, test } from "bun:test";
import { descendants, withCommand } from "../support/processes.ts";
import { ask, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

const say = async (world: World, content: string, user: string, more: object = {}) => {
  const response = await world.server.post(ask(content, { user, ...more }));
  const answer = (await Array.fromAsync(texts(response))).join("");
  return { answer, found: response.headers.get("x-synthesis-process") };
};
const spareReady = (world: World) => world.server.logged(/claude ready.*"spare:/);

test("a spare makes room before any conversation's claude does", async () => {
  await using world = await createWorld({
    standIn: true,
    env: { SYNTHESIS_SPARES: "1", SYNTHESIS_MAX_PROCESSES: "2" },
  });
  await say(world, "one", "a");
  await spareReady(world);
  expect((await say(world, "uno", "b", { model: "haiku" })).found).toBe("cold");
  expect((await say(world, "two", "a")).found).toBe("warm");
});

test("with one process at most there is no spare, and conversations take turns as ever", async () => {
  await using world = await createWorld({
    standIn: true,
    env: { SYNTHESIS_SPARES: "1", SYNTHESIS_MAX_PROCESSES: "1" },
  });
  expect((await say(world, "one", "a")).found).toBe("cold");
  expect((await say(world, "uno", "b")).found).toBe("cold");
  expect((await say(world, "two", "a")).found).toBe("resumed");
  expect(world.server.log()).not.toContain("spare:");
});

test("one that is killed is not put back before a conversation has begun again", async () => {
  await using world = await createWorld({ standIn: true, env: { SYNTHESIS_SPARES: "1" } });
  await say(world, "one", "a");
  const pid = Number(/"pid":(\d+)/.exec(await spareReady(world))?.[1]);
  process.kill(pid, "SIGKILL");
  await world.server.logged(new RegExp(`claude exited.*"pid":${pid}`));
  // What it would have been told, a new one is.
  expect(await say(world, "uno", "b")).toEqual({ answer: "You said: uno", found: "cold" });
  await world.server.logged(new RegExp(`claude ready.*"spare:.*"pid":(?!${pid})`));
  expect((await say(world, "due", "c")).found).toBe("spare");
});

test("when the server ends, so do its spares", async () => {
  await using world = await createWorld({ standIn: true, env: { SYNTHESIS_SPARES: "2" } });
  await say(world, "one", "a");
  await say(world, "uno", "b");
  const pid = Number(/"pid":(\d+)/.exec(await spareReady(world))?.[1]);
  await world.server.stop();
  expect(withCommand([pid], /./)).toEqual([]);
  expect(descendants(world.server.pid)).toEqual([]);
});
