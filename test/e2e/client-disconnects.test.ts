/** On the real claude: a client that disconnects stops the model, and the same claude takes the next turn. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { at, control } from "../support/control.ts";
import { apiError, type ModelRequest, text, toolUse } from "../support/mock-anthropic.ts";
import { claudesOf, descendants, waitForExit, withCommand } from "../support/processes.ts";
import { ask, next, say, texts } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

let world: World;
let claude: number;
beforeAll(async () => {
  world = await createWorld();
  await say(world.server, "one");
  claude = claudesOf(world.server.pid)[0] as number;
});
afterAll(() => world[Symbol.asyncDispose]());

/** Posts a request. `disconnect` aborts it. */
function postRequest(content: string, user = "me") {
  const controller = new AbortController();
  const response = world.server.post(ask(content, { user }), {}, controller.signal);
  response.catch(() => {});
  return { response, disconnect: () => controller.abort() };
}

const moments = {
  "text streams": async function* () {
    for (let line = 0; ; line += 1) {
      yield text(`abandoned ${line}\n`);
      await Bun.sleep(10);
    }
  },
  "a shell command runs": function* () {
    yield text("abandoned\n");
    yield toolUse("Bash", { command: "sleep 600", description: "Sleep" });
  },
  "claude retries its request to the API": function* () {
    yield apiError(529, "overloaded_error", "abandoned");
  },
  "the model is silent": async function* ({ closed }: ModelRequest) {
    await closed;
    yield text("abandoned");
  },
};
test.each(Object.keys(moments) as (keyof typeof moments)[])(
  "a client that disconnects while %s stops the model, and the same claude takes the next turn",
  async (moment) => {
    for (let round = 0; round < 2; round += 1) {
      const question = `leave while ${moment}, ${round}`;
      world.mock.on(new RegExp(`\n${question}\n`), moments[moment]);
      const { response, disconnect } = postRequest(question);
      const request = await world.mock.request(new RegExp(`\n${question}\n`));
      if (moment === "text streams" || moment === "a shell command runs") await next(texts(await response));
      disconnect();
      expect(await say(world.server, `stay ${round}`)).toEqual({ answer: `You said: stay ${round}`, origin: "warm" });
      if (moment === "text streams" || moment === "the model is silent") expect(await request.closed).toBe("aborted");
    }
    expect(claudesOf(world.server.pid)).toEqual([claude]);
    await waitForExit(withCommand(descendants(world.server.pid), /^sleep 600/));
  },
);

test("drops a queued message when its client disconnects", async () => {
  const gate = Promise.withResolvers<void>();
  world.mock.on(/hold on/, async function* () {
    yield text("held\n");
    await gate.promise;
  });
  const first = texts(await world.server.post(ask("hold on")));
  await next(first);
  const { disconnect } = postRequest("never mind");
  const waiting = async () => ((await (await control(world, at("user:me"))).json()) as { waiting: number }).waiting;
  while ((await waiting()) !== 1) await Bun.sleep(10);
  disconnect();
  while ((await waiting()) !== 0) await Bun.sleep(10);
  gate.resolve();
  await Array.fromAsync(first);
  await say(world.server, "hello");
  expect((await world.mock.request(/\nhello\n/)).shown).not.toContain("never mind");
});

test("drops a message when its client disconnects while claude starts, and the next turn gets the process", async () => {
  const { disconnect } = postRequest("never start", "early");
  await world.server.logged(/claude started.*"user:early"/);
  disconnect();
  const next = await say(world.server, "good morning", { user: "early" });
  expect(next).toEqual({ answer: "You said: good morning", origin: "warm" });
  expect((await world.mock.request(/\ngood morning\n/)).shown).not.toContain("never start");
});
