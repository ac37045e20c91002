/** The usage of a fleet is the same from each node, and outlives the servers that have counted it. */
import { expect, test } from "bun:test";
import { type UsageReport, usageReport } from "../../src/wire/usage.ts";
import { ask } from "../support/sse.ts";
import { createFleet, type TestNode } from "./world.ts";

test("every node says what all have used, also after a node was killed", async () => {
  await using fleet = await createFleet({ standIn: true });
  const [one, other] = fleet.nodes as [TestNode, TestNode];
  const say = async ({ server }: TestNode, user: string) => (await server.post(ask("hello", { user }))).text();
  const usage = async (node: TestNode, by: string) =>
    usageReport.parse(await (await fleet.control(node, `/v1/usage?by=${by}`)).json());
  /** Asks until a node knows of so many turns. The test's timeout ends the wait. */
  async function usageWith(turns: number, node: TestNode, by: string): Promise<UsageReport> {
    for (;;) {
      const report = await usage(node, by);
      if (report.total.turns.done >= turns) return report;
      await Bun.sleep(50);
    }
  }

  await say(one, "a");
  await say(one, "a");
  await say(other, "b");
  const turnsOf = ({ data }: UsageReport) => data.map(({ name, turns }) => [name, turns.done]).toSorted();
  const all = [
    ["user:a", 2],
    ["user:b", 1],
  ];
  expect(turnsOf(await usageWith(3, one, "conversation"))).toEqual(all);
  const before = await usageWith(3, other, "conversation");
  expect(turnsOf(before)).toEqual(all);
  expect(before.total.first_text?.turns).toBe(3);
  // Each turn counts for one hour, and for one day.
  for (const by of ["hour", "day"]) {
    const { data } = await usage(other, by);
    expect(data.reduce((sum, { turns }) => sum + turns.done, 0)).toBe(3);
    expect(data.every(({ starts_at: at }) => typeof at === "number")).toBeTrue();
  }

  await one.server.stop("SIGKILL");
  await one.restart();
  expect((await usage(one, "conversation")).total).toEqual(before.total);
  await say(one, "b");
  expect(turnsOf(await usageWith(4, other, "conversation"))).toEqual([
    ["user:a", 2],
    ["user:b", 2],
  ]);
  // A server that ends in order leaves nothing uncounted.
  await say(one, "a");
  await one.server.stop();
  expect((await usage(other, "agent")).total.turns.done).toBe(5);
}, 60_000);
