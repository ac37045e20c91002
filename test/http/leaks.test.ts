/** The server releases everything that a conversation used: timers, descriptors and memory. */
import { expect, test } from "bun:test";
import { descriptors } from "../support/processes.ts";
import { preloaded } from "../support/server.ts";
import { answerText, ask, postUntilSent } from "../support/sse.ts";
import { createWorld } from "../support/world.ts";

const WARM_UP = 20;
const MEASURED = 60;
/** A leaked conversation has hundreds of objects. The heap may grow by a few for each, such as compiled functions. */
const SPARE_OBJECTS = 10;
/** How long the server may take to release what the last conversations used. A leak is never released. */
const RELEASE_MS = 30_000;

test("80 conversations, half of them with a client that disconnects, leave no timer, descriptor or object", async () => {
  await using world = await createWorld({
    standIn: true,
    env: { SYNTHESIS_MAX_PROCESSES: "4", SYNTHESIS_IDLE_KILL_MS: "500" },
    program: preloaded("count-timers.ts"),
  });
  const { server } = world;
  const converse = async (from: number, to: number) => {
    for (let first = from; first < to; first += 4) {
      await Promise.all(
        [first, first + 1, first + 2, first + 3].map(async (user) => {
          expect(await answerText(await server.post(ask("lines 20", { user: `${user}` })))).not.toBe("");
          const client = new AbortController();
          const session = `user:left${user}`;
          await postUntilSent(server, ask("hang", { user: `left${user}` }), session, client.signal);
          client.abort();
        }),
      );
    }
  };

  let counted = 0;
  const count = async () => {
    counted += 1;
    process.kill(server.pid, "SIGUSR2");
    const line = await server.logged(new RegExp(`^count ${counted}:`));
    return {
      timers: Number(/(\d+) timers/.exec(line)?.[1]),
      objects: Number(/(\d+) objects/.exec(line)?.[1]),
      descriptors: descriptors(server.pid),
    };
  };
  const hasProcesses = async () =>
    ((await (await fetch(`${server.url}/health`)).json()) as { processes: number }).processes > 0;
  /** The largest of several counts. Every few seconds the pool runs `ps`, which changes the counts for a moment. */
  const baseline = async () => {
    while (await hasProcesses()) await Bun.sleep(50);
    const counts = [];
    for (let look = 0; look < 10; look += 1) {
      await Bun.sleep(200);
      counts.push(await count());
    }
    return {
      timers: Math.max(...counts.map(({ timers }) => timers)),
      descriptors: Math.max(...counts.map(({ descriptors }) => descriptors)),
      objects: Math.max(...counts.map(({ objects }) => objects)),
    };
  };

  await converse(0, WARM_UP);
  const before = await baseline();
  await converse(WARM_UP, WARM_UP + MEASURED);
  const leaked = async () => {
    const after = await count();
    return {
      timers: Math.max(0, after.timers - before.timers),
      descriptors: Math.max(0, after.descriptors - before.descriptors),
      objects: Math.max(0, after.objects - before.objects - MEASURED * SPARE_OBJECTS),
    };
  };
  const nothing = { timers: 0, descriptors: 0, objects: 0 };
  const deadline = performance.now() + RELEASE_MS;
  let leak = await leaked();
  while (!Bun.deepEquals(leak, nothing) && performance.now() < deadline) {
    await Bun.sleep(200);
    leak = await leaked();
  }
  expect(leak).toEqual(nothing);
}, 180_000);
