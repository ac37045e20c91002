/** What a node asks for while a renewal of its lease is under way, with a real Postgres. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { setImmediate } from "node:timers/promises";
import { startLease } from "../../src/fleet/lease.ts";
import type { Postgres } from "../../src/store/postgres/connect.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { createDatabase, type FleetDatabase } from "./database.ts";

const LEASE_MS = 60_000;
const RENEWAL_MS = LEASE_MS / 12;

let database: FleetDatabase;

beforeAll(async () => {
  database = await createDatabase();
}, 60_000);
afterAll(() => database?.[Symbol.asyncDispose]());

/** The lease of a node with this name, and a way to let the answer of Postgres to its next query arrive late. */
async function begin(name: string, onRenewed = () => {}) {
  const clock = new ManualClock();
  let delay: { readonly answered: PromiseWithResolvers<void>; readonly arrives: PromiseWithResolvers<void> } | null =
    null;
  const postgres: Postgres = {
    ...database.postgres,
    run: async (query, deadlineMs) => {
      const delayed = delay;
      delay = null;
      const result = await database.postgres.run(query, deadlineMs);
      delayed?.answered.resolve();
      await delayed?.arrives.promise;
      return result;
    },
  };
  let renewed = Promise.withResolvers<void>();
  const nothing = () => {};
  const lease = await startLease({
    ...{ postgres, clock, name, url: "https://127.0.0.1:1", version: "1", leaseMs: LEASE_MS, places: 1 },
    load: () => ({ used: 0, waiting: 0, typicalTurnMs: 0 }),
    ...{ onRenewed, afterRenewal: () => renewed.resolve(), onLate: nothing, onEvicted: nothing },
  });
  /** Begins a renewal, whose answer is on its way. @returns lets it arrive, and resolves when the lease is renewed */
  const renewSlowly = async () => {
    const [answered, arrives] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    delay = { answered, arrives };
    renewed = Promise.withResolvers<void>();
    await clock.pass(RENEWAL_MS);
    await answered.promise;
    return () => {
      arrives.resolve();
      return renewed.promise;
    };
  };
  return { lease, clock, renewSlowly };
}

test("a node that leaves stays draining, although a renewal that is under way has read otherwise", async () => {
  const { lease, renewSlowly } = await begin("leaves");
  const arrive = await renewSlowly();
  await lease.drain();
  await arrive();
  expect(lease.isDraining).toBe(true);
  await lease.end();
});

test("a node takes conversations again when an operator has undone its drain", async () => {
  const { lease, renewSlowly } = await begin("drained");
  const draining = async (isDraining: boolean) => {
    await database.rows(`UPDATE nodes SET draining = ${isDraining} WHERE name = 'drained'`);
    const arrive = await renewSlowly();
    await arrive();
    return lease.isDraining;
  };
  expect([await draining(true), await draining(false)]).toEqual([true, false]);
  await lease.end();
});

test("a node that cannot tell its watchdog of a renewal stops serving, as its processes end", async () => {
  let isFull = false;
  let renewal = Promise.withResolvers<void>();
  const { lease, clock } = await begin("full", () => {
    renewal.resolve();
    if (isFull) throw new Error("no space left on device");
  });
  isFull = true;
  for (let passed = 0; passed < LEASE_MS; passed += RENEWAL_MS) {
    renewal = Promise.withResolvers<void>();
    await clock.pass(RENEWAL_MS);
    await renewal.promise;
    await setImmediate();
  }
  expect(lease.isGood).toBe(false);
  await lease.end();
});

test("a node that was evicted while it ends does not come back", async () => {
  const { lease, renewSlowly } = await begin("ends");
  await database.rows("DELETE FROM nodes WHERE name = 'ends'");
  const arrive = await renewSlowly();
  const ended = lease.end();
  void arrive();
  await ended;
  expect(await database.rows("SELECT id FROM nodes WHERE name = 'ends'")).toEqual([]);
});
