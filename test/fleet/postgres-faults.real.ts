/** What clients of a fleet see when Postgres is behind PgBouncer, slow, away, restarted, cut off, or fails over. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { errorBody } from "../../src/wire/errors.ts";
import { startPgBouncer, type TestPgBouncer } from "../support/pgbouncer.ts";
import { startPostgres, startStandby, type TestPostgres } from "../support/postgres.ts";
import { PROGRAM } from "../support/server.ts";
import { answerText, ask } from "../support/sse.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";
import { createFleet, type FleetWorld, type TestNode } from "./world.ts";

const LEASE_MS = 4_000;

let primary: TestPostgres;
let pgbouncer: TestPgBouncer;
/** Before PgBouncer for the first node, before Postgres for the second. */
let proxies: TcpProxy[];
let fleet: FleetWorld;
let first: TestNode;
let second: TestNode;

beforeAll(async () => {
  primary = await startPostgres();
  pgbouncer = await startPgBouncer(primary);
  proxies = [
    await startTcpProxy({ host: "127.0.0.1", port: pgbouncer.port }),
    await startTcpProxy({ host: "127.0.0.1", port: primary.port }),
  ];
  const database = (_url: string, at: number) => `postgres://postgres@127.0.0.1:${proxies[at]?.port}/postgres`;
  const shared = { postgres: primary, url: primary.url() };
  fleet = await createFleet({ standIn: true, leaseMs: LEASE_MS, database, shared });
  [first, second] = fleet.nodes as [TestNode, TestNode];
}, 60_000);
afterAll(async () => {
  await fleet?.[Symbol.asyncDispose]();
  await Promise.all((proxies ?? []).map((proxy) => proxy[Symbol.asyncDispose]()));
  await pgbouncer?.[Symbol.asyncDispose]();
  await primary?.[Symbol.asyncDispose]();
});

const post = ({ server }: TestNode, user: string, content: string) => server.post(ask(content, { user }));

/** Sends a message again while it is refused with a 503, as a client does. Each refusal says when to try again. */
async function say(node: TestNode, user: string, content: string): Promise<string> {
  for (;;) {
    const response = await post(node, user, content);
    if (response.status === 200) return answerText(response);
    await expectRefusal(response);
    await Bun.sleep(100);
  }
}

async function expectRefusal(response: Response): Promise<void> {
  const { error } = errorBody.parse(await response.json());
  expect({ status: response.status, code: error.code }).toMatchObject({ status: 503 });
  const retryAfter = Number(response.headers.get("retry-after"));
  expect([error.code, retryAfter > 0 && retryAfter <= 60]).toEqual([error.code, true]);
}

/** Waits until Postgres has this number of turns that were done. A refused message may leave a turn in another state. */
async function untilDone(user: string, turns: number, postgres = primary): Promise<void> {
  const count = `SELECT count(*) FROM turns WHERE session = 'user:${user}' AND state = 'done'`;
  while ((await postgres.query(count)) !== `${turns}\n`) await Bun.sleep(50);
}

async function untilReady({ server }: TestNode, isReady = true): Promise<void> {
  while ((await fetch(`${server.url}/ready`)).ok !== isReady) await Bun.sleep(50);
}

test("at its start a node names what puts commits at risk", async () => {
  await first.server.logged(/may take back what it has acknowledged.*fsync is off/);
});

test("behind PgBouncer in transaction mode, a conversation is claimed, recorded, and moves when its node ends", async () => {
  expect(await say(first, "moves", "one")).toBe("You said: one");
  await untilDone("moves", 1);
  await first.server.stop();
  expect(await say(second, "moves", "two")).toBe("You said: two");
  await untilDone("moves", 2);
  await first.restart();
  // The owner answers, whichever node is asked.
  expect(await say(first, "moves", "three")).toBe("You said: three");
  await untilDone("moves", 3);
});

test("a crash of Postgres during a turn costs nothing: the answer is complete and recorded", async () => {
  const text = post(second, "crash", "hang 700").then(answerText);
  await second.server.logged(/message sent.*"user:crash"/);
  await primary.restart("crash");
  expect(await text).toBe("You said: hang 700");
  await untilDone("crash", 1);
  expect(await say(first, "crash", "next")).toBe("You said: next");
});

test("while Postgres is away, messages are refused with the time to try again, and /health still answers", async () => {
  expect(await say(first, "away", "one")).toBe("You said: one");
  await primary.stop();
  await expectRefusal(await post(first, "away", "two"));
  await untilReady(first, false);
  expect((await fetch(`${first.server.url}/health`)).status).toBe(200);
  await primary.start();
  expect(await say(first, "away", "two")).toBe("You said: two");
  await untilDone("away", 2);
  await Promise.all([untilReady(first), untilReady(second)]);
});

test("a Postgres that does not answer is given up, and no message is sent twice", async () => {
  expect(await say(first, "slow", "one")).toBe("You said: one");
  primary.freeze();
  await expectRefusal(await post(first, "slow", "two"));
  primary.thaw();
  expect(await say(first, "slow", "two")).toBe("You said: two");
  await untilDone("slow", 2);
  await Promise.all([untilReady(first), untilReady(second)]);
});

test("an answer ends with an error when Postgres refuses its record, which follows when Postgres accepts it", async () => {
  expect(await say(first, "refused", "one")).toBe("You said: one");
  await primary.query("ALTER TABLE turns ADD CONSTRAINT fault CHECK (state <> 'done') NOT VALID");
  const events = await (await post(first, "refused", "two")).text();
  await primary.query("ALTER TABLE turns DROP CONSTRAINT fault");
  expect(events).toContain('"internal_error"');
  expect(events).not.toContain('"finish_reason":"stop"');
  expect(await say(first, "refused", "three")).toEndWith("three");
  await untilDone("refused", 3);
});

test("a node that is cut off from Postgres stops its turns, and another node has the conversation", async () => {
  const response = await post(first, "cut", "begin");
  const text = answerText(response).then(
    (answer) => `complete: ${answer}`,
    (error: Error) => error.message,
  );
  await first.server.logged(/message sent.*"user:cut"/);
  proxies[0]?.stall();
  // It is sent again until the lease of the first node has ended.
  expect(await say(second, "cut", "next")).toBe("You said: next");
  expect(await text).not.toStartWith("complete");
  await expectRefusal(await post(first, "cut", "refused"));
  proxies[0]?.resume();
  await untilReady(first);
  expect(await say(first, "cut", "here again")).toBe("You said: here again");
  await untilDone("cut", 2);
});

test("after a failover to a synchronous standby, everything that was acknowledged is there", async () => {
  await using standby = await startStandby(primary);
  await primary.configure({ synchronous_standby_names: "*" });
  expect(await say(first, "failover", "one")).toBe("You said: one");
  await untilDone("failover", 1);
  await primary.stop("crash");
  await standby.promote();
  for (const proxy of proxies) {
    proxy.cut();
    proxy.retarget({ host: "127.0.0.1", port: standby.port });
    proxy.resume();
  }
  expect(await say(second, "failover", "two")).toBe("You said: two");
  await untilDone("failover", 2, standby);
  await Promise.all(fleet.nodes.map(({ server }) => server.stop()));
});

test("a server that starts while Postgres is away exits so that its service starts it again", async () => {
  const env = { ...first.env, SYNTHESIS_DATABASE: "postgres://postgres@127.0.0.1:9/postgres" };
  const server = Bun.spawn([...PROGRAM, "serve"], { env, stdout: "ignore", stderr: "pipe" });
  const [output, code] = await Promise.all([new Response(server.stderr).text(), server.exited]);
  expect(output).toContain("SYNTHESIS_DATABASE");
  // With 2 the service would not be started again.
  expect(code).toBe(1);
});
