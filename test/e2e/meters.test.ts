/** On the real claude: how much of the plan and of the context is used, in every place that shows it. */
import { expect, test } from "bun:test";
import { at, control, controlKey } from "../support/control.ts";
import { planHeaders, text, usage } from "../support/mock-anthropic.ts";
import { startReceiver } from "../support/receiver.ts";
import { PROGRAM } from "../support/server.ts";
import { say } from "../support/sse.ts";
import { createWorld, type World } from "../support/world.ts";

const resetsAt = Math.floor(Date.now() / 1000) + 3_600;

async function run({ serverEnv }: World, ...args: string[]): Promise<string> {
  const child = Bun.spawn([...PROGRAM, ...args], { env: serverEnv, stdout: "pipe", stderr: "inherit" });
  return child.stdout.text();
}

const get = async ({ server }: World, path: string, key: string): Promise<unknown> =>
  (await fetch(`${server.url}${path}`, { headers: { authorization: `Bearer ${key}` } })).json();

test.each(["interactive", "stream"])("the figures of a plan appear everywhere (%s)", async (engine) => {
  await using receiver = startReceiver();
  const env = { SYNTHESIS_ENGINE: engine, SYNTHESIS_NOTIFY_URL: receiver.origin };
  await using world = await createWorld({ plan: true, env });
  const { server, mock } = world;
  const window = (name: string, used_percent: number) => ({ name, used_percent, resets_at: resetsAt * 1000 });
  const expected = [window("five_hour", 42), window("seven_day", 91.5)].map((one) => expect.objectContaining(one));
  expect(await get(world, "/v1/limits", server.key)).toEqual({ object: "limits", data: [] });
  mock.sendHeaders(planHeaders({ "5h": { used: 0.42, resetsAt }, "7d": { used: 0.915, resetsAt } }));
  mock.on(/figures/, function* () {
    yield usage({ input_tokens: 10_000, cache_read_input_tokens: 60_000, cache_creation_input_tokens: 10_000 });
    yield text("counted");
  });

  expect((await say(server, "figures")).answer).toBe("counted");
  // In a terminal the figures come a moment after the answer.
  await server.logged(/the plan is used/);

  expect(await get(world, "/v1/limits", server.key)).toEqual({ object: "limits", data: expected });
  expect(await get(world, "/v1/usage", controlKey(world))).toMatchObject({ limits: expected });
  // The conversation has had one turn, so it costs what the Claude session has cost. Claude Code reports the cost in the
  // terminal, and the tokens in its transcript: either may come first.
  const costs = async () => {
    const session = (await (await control(world, at("user:me"))).json()) as { figures: { cost_usd: number } };
    const byConversation = (await get(world, "/v1/usage?by=conversation", controlKey(world))) as {
      data: { name: string; cost_usd: number | null; turns_without_cost: number }[];
    };
    return { figures: session.figures, sums: byConversation.data };
  };
  let known = await costs();
  while (known.sums[0]?.cost_usd !== Math.round(known.figures.cost_usd * 1e6) / 1e6) {
    await Bun.sleep(20);
    known = await costs();
  }
  expect(known.figures).toMatchObject({ context_used_percent: 8, cache_hit_ratio: 0.75 });
  expect(known.sums).toMatchObject([{ name: "user:me", turns_without_cost: 0 }]);
  expect((await receiver.get(1)).json).toMatchObject({ kind: "plan_window", window: "seven_day", threshold: 80 });
  const table = await run(world, "usage");
  expect(table).toMatch(/^5 hours +█{8}░{12} 42 %/m);
  expect(table).toMatch(/^7 days +█{18}░{2} 91.5 %/m);
  expect(await run(world, "sessions", "show", "user:me")).toMatch(/^context used: +█{2}░{18} 8 %$/m);
  expect(await run(world, "usage", "--by", "conversation")).toMatch(/^user:me .* 8 %$/m);
  expect(await run(world, "doctor")).toContain("five_hour 42 %, seven_day 91.5 %");
});

test("the limits are unknown with an API key, which has none", async () => {
  await using world = await createWorld({ env: { SYNTHESIS_ENGINE: "stream" } });
  world.mock.sendHeaders(planHeaders({ "5h": { used: 0.07, resetsAt } }));
  await say(world.server, "one");
  expect(await get(world, "/v1/limits", world.server.key)).toEqual({ object: "limits", data: [] });
  expect(await run(world, "usage")).toContain("The plan's limits are unknown.");
});

test("an answer outside any conversation reports the limits, too", async () => {
  await using world = await createWorld({ plan: true });
  world.mock.sendHeaders(planHeaders({ "5h": { used: 0.07, resetsAt } }));
  const messages = [{ role: "user", content: "once" }];
  expect((await world.server.post({ model: "synthesis-claude-bridge", messages })).status).toBe(200);
  await world.server.logged(/the plan is used/);
  expect(await get(world, "/v1/limits", world.server.key)).toMatchObject({
    data: [{ name: "five_hour", used_percent: 7 }],
  });
});
