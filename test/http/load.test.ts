/** Many conversations at the same time: each client gets its own answers, complete and once. */
import { expect, test } from "bun:test";
import { at, control } from "../support/control.ts";
import { ask, texts } from "../support/sse.ts";
import { createWorld } from "../support/world.ts";

test("16 parallel conversations of several turns get every line of their own answers", async () => {
  await using world = await createWorld({ standIn: true, env: { SYNTHESIS_MAX_PROCESSES: "16" } });
  const turns = 5;
  const lines = 50;
  await Promise.all(
    Array.from({ length: 16 }, async (_, client) => {
      for (let turn = 0; turn < turns; turn += 1) {
        const what = `lines ${lines} of ${client} in ${turn}`;
        const answer = await Array.fromAsync(texts(await world.server.post(ask(what, { user: `${client}` }))));
        expect(answer.join("")).toBe(Array.from({ length: lines }, (_, line) => `${what} ${line}\n`).join(""));
      }
    }),
  );
  const health = await (await fetch(`${world.server.url}/health`)).json();
  expect(health).toMatchObject({ processes: 16, conns: 16 });
});

test("the process that is idle longest makes room for a new one, and its conversation resumes later", async () => {
  await using world = await createWorld({ standIn: true, env: { SYNTHESIS_MAX_PROCESSES: "2" } });
  const say = async (user: string) => {
    const response = await world.server.post(ask("hello", { user }));
    await Array.fromAsync(texts(response));
    // Claude works a moment longer than its answer is long.
    const state = async () => ((await (await control(world, at(`user:${user}`))).json()) as { state: string }).state;
    while ((await state()) !== "idle") await Bun.sleep(5);
    return response.headers.get("x-synthesis-process");
  };
  expect([await say("a"), await say("b"), await say("b"), await say("c")]).toEqual(["cold", "cold", "warm", "cold"]);
  expect([await say("b"), await say("a"), await say("c")]).toEqual(["warm", "resumed", "resumed"]);
});

test("a turn ends with an error when its process exits, and the next one resumes", async () => {
  await using world = await createWorld({ standIn: true });
  const first = await world.server.post(ask("hello", { stream: false }));
  expect(first.status).toBe(200);
  const second = await world.server.post(ask("exit", { stream: false }));
  expect([second.status, ((await second.json()) as { error: { code: string } }).error.code]).toEqual([
    502,
    "claude_exited",
  ]);
  const third = await world.server.post(ask("hello", { stream: false }));
  expect(third.headers.get("x-synthesis-process")).toBe("resumed");
});

test("a repeated message is not delivered again if Claude Code received it before it exited", async () => {
  await using world = await createWorld({ standIn: true });
  const say = () => world.server.post(ask("exit later", { stream: false }));
  expect((await say()).status).toBe(502);
  expect(await (await say()).json()).toMatchObject({
    choices: [
      { message: { content: "You said: (My last message is still without an answer. Please answer it now.)" } },
    ],
  });
});
