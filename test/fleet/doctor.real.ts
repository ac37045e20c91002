/** What `synthesis doctor` says about a node of a fleet, on a real Postgres. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { pathsFor } from "../../src/config/paths.ts";
import { defaults } from "../../src/config/schema.ts";
import { systemClock } from "../../src/core/clock.ts";
import { fleetChecks } from "../../src/doctor/fleet.ts";
import { createIdentity, writeIdentity } from "../../src/fleet/certificate.ts";
import { joinFleet } from "../../src/fleet/join.ts";
import { addMember, keysDigest } from "../../src/fleet/members.ts";
import { connect } from "../../src/store/postgres/connect.ts";
import { migrateFleet } from "../../src/store/postgres/migrate.ts";
import { daemonFolder } from "../support/daemon.ts";
import { startPostgres, startStandby, type TestPostgres } from "../support/postgres.ts";

const CHAT_KEY = "a-chat-key-of-the-fleet";
const CONTROL_KEY = "a-control-key-of-the-fleet-0123456789";
const URL_OF_NODE = "https://127.0.0.1:18991";

let postgres: TestPostgres;
let databases = 0;
let url: string;
let folder: ReturnType<typeof daemonFolder>;

beforeAll(async () => {
  postgres = await startPostgres({ fsync: "on" });
});
afterAll(() => postgres?.[Symbol.asyncDispose]());
beforeEach(async () => {
  folder?.remove();
  folder = daemonFolder("doctor");
  writeFileSync(pathsFor(folder.path).controlKey, CONTROL_KEY, { mode: 0o600 });
  databases += 1;
  url = await postgres.createDatabase(`fleet${databases}`);
});
afterAll(() => folder?.remove());

const check = ({ database = url, apiKey = CHAT_KEY } = {}) => {
  const paths = pathsFor(folder.path);
  return fleetChecks(paths, { ...defaults(paths), nodeName: "node-a", apiKey }, database);
};

async function join(): Promise<void> {
  const database = connect(url);
  await migrateFleet(database);
  const keys = keysDigest(CHAT_KEY, CONTROL_KEY);
  const paths = pathsFor(folder.path);
  const node = { name: "node-a", url: URL_OF_NODE, keys, leaseMs: 1_000 };
  await joinFleet({ postgres: database, paths, clock: systemClock, ...node });
  await database.close();
}

test("a database that cannot be reached, and one without the tables", async () => {
  const nowhere = url.replace(/:\d+\//, ":9/");
  expect(await check({ database: nowhere })).toMatchObject([{ id: "fleet.unreachable", result: "failed" }]);
  expect(await check()).toMatchObject([{ id: "fleet.not_a_member", result: "failed" }]);
});

test("a member with the keys of the fleet is fine, and one with other keys is not", async () => {
  await join();
  expect(await check()).toMatchObject([{ id: "fleet.ok", found: expect.stringContaining("node-a, one of 1 members") }]);
  expect(await check({ apiKey: "another-chat-key-of-a-machine" })).toMatchObject([{ id: "fleet.other_keys" }]);
  rmSync(pathsFor(folder.path).controlKey);
  expect(await check()).toMatchObject([{ id: "fleet.other_keys" }]);
});

test("a certificate that ends within a month is to be replaced", async () => {
  const database = connect(url);
  await migrateFleet(database);
  const almostTwoYearsAgo = Date.now() - (2 * 365 - 20) * 24 * 3_600_000;
  const identity = await createIdentity("node-a", URL_OF_NODE, almostTwoYearsAgo);
  writeIdentity(pathsFor(folder.path), identity);
  const { certificate } = identity;
  const keys = keysDigest(CHAT_KEY, CONTROL_KEY);
  await addMember(database, { name: "node-a", url: URL_OF_NODE, certificate, keys, joinedAt: almostTwoYearsAgo });
  await database.close();
  expect(await check()).toMatchObject([
    { id: "fleet.certificate_ends", result: "warning", advice: expect.stringContaining("--rotate") },
  ]);
});

test("a Postgres that may take back commits is named, until its standby is synchronous", async () => {
  await join();
  await using standby = await startStandby(postgres);
  const risk = async () => (await check()).find(({ id }) => id === "fleet.commits_at_risk")?.found ?? null;
  expect(await risk()).toContain("synchronous_standby_names is empty");
  await postgres.configure({ synchronous_standby_names: "*" });
  expect(await risk()).toBeNull();
  await postgres.configure({ synchronous_commit: "local" });
  expect(await risk()).toContain("synchronous_commit is local");
  await postgres.configure({ synchronous_commit: "on" });

  // What was acknowledged is on the standby, which takes over.
  await postgres.query("CREATE TABLE kept AS SELECT 1 AS id");
  await postgres.stop("crash");
  await standby.promote();
  expect(await standby.query("SELECT id FROM kept")).toBe("1\n");
  await standby.query("INSERT INTO kept VALUES (2)");
});
