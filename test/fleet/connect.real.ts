/** What a query to Postgres gets when another one, or Postgres itself, is in its way. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import type { Postgres, PostgresDatabase } from "../../src/store/postgres/connect.ts";
import { createDatabase, type FleetDatabase } from "./database.ts";

let database: FleetDatabase;
let postgres: Postgres;

beforeAll(async () => {
  database = await createDatabase();
  postgres = database.postgres;
}, 60_000);
afterAll(() => database?.[Symbol.asyncDispose]());

/** A query that takes `ms`. */
const slow = (ms: number) => (connection: PostgresDatabase) =>
  connection.execute<{ answer: string }>(sql`SELECT 'done' AS answer FROM pg_sleep(${ms / 1000})`);

test("a query that takes too long fails, and the others do not", async () => {
  const transaction = postgres.run((connection) =>
    connection.transaction(async (one) => {
      await slow(600)(one);
      return slow(200)(one);
    }),
  );
  const other = postgres.run(slow(800));
  await expect(postgres.run(slow(5_000), 300)).rejects.toMatchObject({ code: "database_unavailable" });
  const next = await postgres.run(slow(0));
  expect([...(await other), ...(await transaction), ...next]).toEqual(Array(3).fill({ answer: "done" }));
});

test.each([
  ["text that is no JSON", sql`SELECT '"\\ud800"'::json #>> '{}'`],
  [
    "a key that is too long",
    sql`INSERT INTO claims VALUES ((SELECT string_agg(md5(n::text), '') FROM generate_series(1, 500) n), null, 1, 1)`,
  ],
  ["a column that is not null", sql`INSERT INTO claims VALUES ('a', null, null, 1)`],
  ["a table that does not exist", sql`SELECT * FROM nowhere`],
])("what Postgres would refuse again is an internal error: %s", async (_what, query) => {
  const refused = postgres.run((connection) => connection.execute(query));
  await expect(refused).rejects.toMatchObject({
    code: "internal_error",
    message: expect.stringContaining("SQL state"),
  });
});

test.each([
  ["a node that has lost its lease", sql`INSERT INTO parked VALUES ('a', gen_random_uuid())`],
  ["a transaction that Postgres ends", sql`SELECT pg_terminate_backend(pg_backend_pid())`],
])("what Postgres may accept later is a reason to try again: %s", async (_what, query) => {
  const refused = postgres.run((connection) => connection.execute(query));
  await expect(refused).rejects.toMatchObject({ code: "database_unavailable", retryAfter: 1 });
});
