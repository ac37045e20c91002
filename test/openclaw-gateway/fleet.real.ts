/** OpenClaw with a fleet behind HAProxy keeps its conversation when the node that had it is lost. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Balancer, startBalancer } from "../fleet/balancer.ts";
import { createFleet, type FleetWorld } from "../fleet/world.ts";
import { createOpenClaw, type OpenClaw, provider } from "../support/openclaw-gateway.ts";

const SESSION = "agent:main:fleet";

let fleet: FleetWorld;
let balancer: Balancer;
let openclaw: OpenClaw;

beforeAll(async () => {
  fleet = await createFleet({ nodes: 3, leaseMs: 4_000 });
  balancer = await startBalancer({ main: { nodes: fleet.nodes } });
  const [{ home, env } = fail()] = fleet.nodes;
  const model = "synthesis/synthesis-claude-bridge";
  openclaw = await createOpenClaw({
    models: { providers: { synthesis: provider(balancer.url, env.SYNTHESIS_API_KEY ?? "") } },
    agents: { defaults: { workspace: env.SYNTHESIS_WORKSPACE ?? home.workspace, model: { primary: model } } },
  });
  await openclaw.startGateway();
}, 300_000);

afterAll(async () => {
  await openclaw?.[Symbol.asyncDispose]();
  await balancer?.[Symbol.asyncDispose]();
  await fleet?.[Symbol.asyncDispose]();
}, 60_000);

const fail = (): never => {
  throw new Error("the fleet has no node");
};

/** The node that has the conversation of the session. */
async function owner() {
  const name = (
    await fleet.postgres.query(
      `SELECT name FROM claims JOIN nodes ON nodes.id = claims.node WHERE key = '${SESSION}' AND lease_until > now()`,
    )
  ).trim();
  return fleet.nodes.find((node) => node.name === name) ?? fail();
}

test("a conversation outlives the node that had it", async () => {
  expect(await openclaw.say("remember the word heron", SESSION)).toContain("remember the word heron");
  const first = await owner();
  await first.server.stop("SIGKILL");
  // OpenClaw tries again by itself, but not for as long as a lease lasts.
  for (;;) {
    const answer = await openclaw.say("which word was it?", SESSION).catch((error: Error) => error);
    if (typeof answer === "string" && answer.includes("You said:")) break;
    await Bun.sleep(500);
  }
  const second = await owner();
  expect(second.name).not.toBe(first.name);
  const { shown } = await fleet.mock.request(/which word was it/);
  expect(shown.split("remember the word heron").length - 1).toBeGreaterThan(0);
  const states = (
    await fleet.postgres.query(`SELECT state FROM turns WHERE session = '${SESSION}' ORDER BY position`)
  ).trim();
  expect(states.split("\n").filter((state) => state === "done")).toHaveLength(2);
});
