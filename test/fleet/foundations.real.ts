/** What the tests of a fleet stand on does what they assume: Postgres, PgBouncer, HAProxy and partitions. */
import { expect, test } from "bun:test";
import { SQL } from "bun";
import { isRunning } from "../../src/core/is-running.ts";
import { freePort } from "../support/daemon.ts";
import { startHaproxy } from "../support/haproxy.ts";
import { startPgBouncer } from "../support/pgbouncer.ts";
import { startPostgres } from "../support/postgres.ts";
import { descendants } from "../support/processes.ts";
import { startReceiver } from "../support/receiver.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

const connect = (url: string) => new SQL(url, { max: 1, prepare: false });

test("a committed row outlives a crash of Postgres, and a frozen one is silent until it is thawed", async () => {
  await using postgres = await startPostgres();
  const url = await postgres.createDatabase("one");
  await using sql = connect(url);
  await sql`CREATE TABLE kept (id int)`;
  await sql`INSERT INTO kept VALUES (1)`;

  const crashed = postgres.pid;
  await postgres.restart("crash");
  expect(isRunning(crashed)).toBeFalse();
  expect(postgres.log()).toContain("database system was not properly shut down");
  await using again = connect(url);
  expect((await again`SELECT id FROM kept`)[0]).toEqual({ id: 1 });
  await using overSocket = connect(postgres.socketUrl("one"));
  expect((await overSocket`SELECT id FROM kept`)[0]).toEqual({ id: 1 });

  postgres.freeze();
  let isAnswered = false;
  const answer = again`SELECT id FROM kept`.then((rows) => {
    isAnswered = true;
    return rows;
  });
  await Bun.sleep(200);
  expect(isAnswered).toBeFalse();
  postgres.thaw();
  expect((await answer)[0]).toEqual({ id: 1 });
});

test("behind PgBouncer the statements of one client run on several connections", async () => {
  await using postgres = await startPostgres();
  await using pgbouncer = await startPgBouncer(postgres);
  await using one = connect(pgbouncer.url());
  await using other = connect(pgbouncer.url());
  const backend = (sql: SQL) => sql`SELECT pg_backend_pid() AS pid`.then(([row]) => row.pid);
  const first = await backend(one);
  await other.begin(async (transaction) => {
    // The connection that the other client used last is the one that is taken first.
    expect(await backend(transaction)).toBe(first);
    expect(await backend(one)).not.toBe(first);
  });
});

test("a stalled proxy is silent, and a cut one resets", async () => {
  await using postgres = await startPostgres();
  await using proxy = await startTcpProxy({ host: "127.0.0.1", port: postgres.port });
  const url = postgres.url().replace(`:${postgres.port}/`, `:${proxy.port}/`);
  await using sql = connect(url);
  expect((await sql`SELECT 1 AS one`)[0]).toEqual({ one: 1 });
  expect(proxy.connections).toBe(1);

  proxy.stall();
  let isAnswered = false;
  const answer = sql`SELECT 2 AS two`.then((rows) => {
    isAnswered = true;
    return rows;
  });
  await Bun.sleep(100);
  expect(isAnswered).toBeFalse();
  proxy.resume();
  expect((await answer)[0]).toEqual({ two: 2 });

  proxy.cut();
  expect(
    await sql`SELECT 3 AS three`.then(
      () => "answered",
      () => "failed",
    ),
  ).toBe("failed");
  proxy.resume();
  expect((await sql`SELECT 4 AS four`)[0]).toEqual({ four: 4 });
});

test("HAProxy finishes its connections at a reload, and ends with everything when it is killed", async () => {
  const [one, other] = [startReceiver(), startReceiver()];
  const port = await freePort();
  const config = (target: number) => `
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen all
  bind 127.0.0.1:${port}
  server only 127.0.0.1:${target}
`;
  const haproxy = await startHaproxy(config(one.port));
  const { promise: held, resolve: release } = Promise.withResolvers<Response>();
  one.answer(() => held);
  const slow = fetch(`http://127.0.0.1:${port}/slow`);
  await one.get(1);
  one.answer(() => new Response("old"));
  await haproxy.reload(config(other.port));
  // The old process may still take connections for a moment.
  while (other.received.length === 0) await fetch(`http://127.0.0.1:${port}/next`);
  release(new Response("late"));
  expect(await (await slow).text()).toBe("late");

  const pids = [haproxy.pid, ...descendants(haproxy.pid)];
  await haproxy[Symbol.asyncDispose]();
  expect(pids.filter(isRunning)).toEqual([]);
  await Promise.all([one.stop(), other.stop()]);
});
