/**
 * Clients of a fleet behind the HAProxy of deploy/: a node is lost, all nodes are restarted under load as the runbook
 * says, and a tenant has a cell of its own behind the same address.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { errorBody } from "../../src/wire/errors.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { PROGRAM } from "../support/server.ts";
import { answerText, ask } from "../support/sse.ts";
import { type Balancer, startBalancer } from "./balancer.ts";
import { createFleet, type FleetWorld, type TestNode } from "./world.ts";

const LEASE_MS = 4_000;
const KEY = "chat-key-of-the-main-cell";
const ACME_KEY = "chat-key-of-the-cell-acme";

let postgres: TestPostgres;
let main: FleetWorld;
let acme: FleetWorld;
let balancer: Balancer;

beforeAll(async () => {
  postgres = await startPostgres();
  // As docs/fleet.md says: tables of a user are made in the schema with the user's name.
  await postgres.query("CREATE ROLE acme LOGIN");
  await postgres.query("CREATE SCHEMA acme AUTHORIZATION acme");
  const acmeUrl = postgres.url().replace("postgres@", "acme@");
  const options = { standIn: true, leaseMs: LEASE_MS, env: { SYNTHESIS_DRAIN_MS: "20000" } };
  main = await createFleet({ ...options, nodes: 3, chatKey: KEY, shared: { postgres, url: postgres.url() } });
  acme = await createFleet({ ...options, nodes: 1, chatKey: ACME_KEY, shared: { postgres, url: acmeUrl } });
  balancer = await startBalancer({ main: { nodes: main.nodes }, acme: { nodes: acme.nodes, keys: [ACME_KEY] } });
}, 60_000);
afterAll(async () => {
  await balancer?.[Symbol.asyncDispose]();
  await Promise.all([main, acme].map((fleet) => fleet?.[Symbol.asyncDispose]()));
  await postgres?.[Symbol.asyncDispose]();
});

const post = (user: string, content: string, key = KEY) =>
  fetch(`${balancer.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify(ask(content, { user })),
  });

/**
 * Sends a message again for as long as it is refused, as a client does. Each refusal says when to try again.
 * @param allowed the status of a refusal
 */
async function say(user: string, content: string, allowed: readonly number[] = [503]): Promise<string> {
  for (;;) {
    const response = await post(user, content);
    if (response.status === 200) return answerText(response);
    const { error } = errorBody.parse(await response.json());
    const retryAfter = Number(response.headers.get("retry-after"));
    expect({ code: error.code, allowed }).toEqual({
      code: error.code,
      allowed: expect.arrayContaining([response.status]),
    });
    expect([error.code, retryAfter > 0 && retryAfter <= 60]).toEqual([error.code, true]);
    await Bun.sleep(100);
  }
}

const count = async (sql: string) => Number(await postgres.query(`SELECT count(*) FROM ${sql}`));
const doneTurns = (user: string, schema = "public") =>
  count(`${schema}.turns WHERE session = 'user:${user}' AND state = 'done'`);

async function untilReady({ server }: TestNode): Promise<void> {
  while (!(await fetch(`${server.url}/ready`)).ok) await Bun.sleep(50);
}

test("two cells behind one address know nothing of each other's conversations", async () => {
  expect(await say("both", "of main")).toBe("You said: of main");
  expect(await answerText(await post("both", "of acme", ACME_KEY))).toBe("You said: of acme");
  while ((await doneTurns("both", "acme")) < 1) await Bun.sleep(50);
  expect(await doneTurns("both")).toBe(1);
  expect((await post("both", "of no one", "a-key-that-no-cell-knows")).status).toBe(401);
  // The user of the cell cannot read the tables of the other one.
  const url = postgres.url().replace("postgres@", "acme@");
  await using sql = new Bun.SQL(url, { max: 1 });
  expect(
    await sql`SELECT * FROM public.turns`.then(
      () => "read",
      (error: Error) => error.message,
    ),
  ).toContain("permission denied");
});

test("a conversation continues when its node is killed, and the client sees nothing but a time to try again", async () => {
  expect(await say("lost", "one")).toBe("You said: one");
  const owner = main.nodes.find(({ server }) => /conversation claimed.*"user:lost"/.test(server.log())) as TestNode;
  const running = post("lost", "hang");
  running.catch(() => {});
  const sent = () => owner.server.log().match(/message sent.*"user:lost"/g)?.length;
  while (sent() !== 2) await Bun.sleep(20);
  await owner.server.stop("SIGKILL");
  const broken = await running;
  expect(broken.status === 502 || broken.status === 200).toBeTrue();
  await broken.body?.cancel();
  expect(await say("lost", "two", [502, 503])).toBe("You said: two");
  await owner.restart();
  await untilReady(owner);
});

test("a restart of all nodes, one after the other, costs no request and no turn", async () => {
  const users = ["ann", "bob", "cid", "dee", "eve", "fay"];
  const acknowledged = new Map(users.map((user) => [user, 0]));
  let isOver = false;
  const clients = users.map(async (user) => {
    for (let number = 1; !isOver; number += 1) {
      const message = `hang 150 number ${number}`;
      expect(await say(user, message)).toBe(`You said: ${message}`);
      acknowledged.set(user, number);
    }
  });
  const load = Promise.all(clients);
  load.catch(() => {
    isOver = true;
  });

  for (const node of main.nodes) {
    const drain = Bun.spawn([...PROGRAM, "nodes", "drain", node.name], { env: node.env, stdout: "ignore" });
    expect(await drain.exited).toBe(0);
    const held = `claims JOIN nodes ON nodes.id = claims.node WHERE nodes.name = '${node.name}'`;
    while (!isOver && (await count(held)) > 0) await Bun.sleep(100);
    expect(await node.server.stop()).toBe(0);
    await node.restart();
    await untilReady(node);
  }
  isOver = true;
  await load;
  for (const [user, turns] of acknowledged) {
    expect(turns).toBeGreaterThan(0);
    while ((await doneTurns(user)) < turns) await Bun.sleep(50);
    expect([user, await doneTurns(user)]).toEqual([user, turns]);
  }
});
