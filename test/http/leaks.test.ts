/** After hundreds of conversations the server is as it was: memory, sockets, timers, descriptors. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { descriptors } from "../support/processes.ts";
import { ask, postUntilSent, texts } from "../support/sse.ts";
import { createWorld } from "../support/world.ts";

test("200 conversations leave nothing behind", async () => {
  const root = join(import.meta.dir, "../..");
  await using world = await createWorld({
    standIn: true,
    env: { SYNTHESIS_MAX_PROCESSES: "4", SYNTHESIS_IDLE_KILL_MS: "500" },
    program: [process.execPath, "--preload", join(root, "test/support/count-timers.ts"), join(root, "src/main.ts")],
  });
  const { server } = world;
  const converse = async (from: number, to: number) => {
    for (let user = from; user < to; user += 4) {
      await Promise.all(
        [0, 1, 2, 3].map(async (one) => {
          const answer = await Array.fromAsync(texts(await server.post(ask("lines 20", { user: `${user + one}` }))));
          expect(answer.length).toBeGreaterThan(0);
          // Some leave in the middle.
          const leaving = new AbortController();
          const session = `user:left${user + one}`;
          await postUntilSent(server, ask("hang", { user: `left${user + one}` }), session, leaving.signal);
          leaving.abort();
        }),
      );
    }
  };
  let counted = 0;
  /** Once all processes have been ended: timers, descriptors, MB. */
  const count = async () => {
    const health = async () =>
      ((await (await fetch(`${server.url}/health`)).json()) as { processes: number }).processes;
    while ((await health()) > 0) await Bun.sleep(50);
    counted += 1;
    process.kill(server.pid, "SIGUSR2");
    const line = await server.logged(new RegExp(`^count ${counted}:`));
    const [timers = 0, memory = 0] = line.split(":")[1]?.match(/\d+/g)?.map(Number) ?? [];
    return { timers, descriptors: descriptors(server.pid), memory };
  };

  await converse(0, 40);
  const before = await count();
  await converse(40, 240);
  let after = await count();
  // Some of the last conversations may just be running out; those of a leak never do.
  for (let look = 0; after.timers > before.timers && look < 100; look += 1) {
    await Bun.sleep(50);
    after = await count();
  }
  expect(after.timers).toBeLessThanOrEqual(before.timers);
  expect(after.descriptors).toBe(before.descriptors);
  // The heap breathes; a leak of a conversation's worth would show as hundreds of megabytes a day.
  expect(after.memory).toBeLessThan(before.memory * 1.25 + 10);
}, 120_000);
