/** The database: missing, sound, damaged, changed by another program, or by a newer version. */
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { databaseChecks } from "../../src/doctor/database.ts";
import { createFixture, type Fixture } from "./fixture.ts";

let fixture: Fixture;
beforeEach(() => {
  fixture = createFixture();
});
afterEach(() => fixture[Symbol.dispose]());

const check = () => databaseChecks(fixture.paths, fixture.config());

function createDatabase(...statements: string[]): void {
  using database = new Database(fixture.paths.database, { create: true });
  for (const statement of statements) database.run(statement);
  chmodSync(fixture.paths.database, 0o600);
}

test("accepts a database that does not exist yet, since the server creates it", () => {
  expect(check()).toMatchObject([{ id: "database.ok" }]);
});

test("rejects a file that is not a database", () => {
  fixture.write("state/synthesis.db", "this is not a database, but long enough to be one ".repeat(99));
  expect(check()).toMatchObject([
    { id: "database.damaged", result: "failed", advice: expect.stringContaining("Restart synthesis") },
  ]);
});

test("rejects a database whose index does not match its table", () => {
  createDatabase("CREATE TABLE t (x)", "CREATE INDEX i ON t (x)", "INSERT INTO t VALUES ('needle')");
  const bytes = readFileSync(fixture.paths.database);
  bytes.write("nettle", bytes.lastIndexOf("needle"));
  writeFileSync(fixture.paths.database, bytes);
  expect(check()).toMatchObject([
    {
      id: "database.inconsistent",
      result: "failed",
      found: expect.stringContaining("missing from index"),
      advice: expect.stringContaining(`move ${fixture.paths.database} away`),
    },
  ]);
});

test("rejects a database that a newer version has changed", () => {
  createDatabase(
    "CREATE TABLE __drizzle_migrations (id, hash, created_at)",
    "INSERT INTO __drizzle_migrations VALUES (1, '', 99999999999999)",
  );
  expect(check()).toMatchObject([
    { id: "database.newer_version", result: "failed", advice: expect.stringContaining("--home") },
  ]);
});

test("warns of turns that belong to no conversation", () => {
  createDatabase(
    "CREATE TABLE sessions (key text primary key)",
    "CREATE TABLE turns (session text REFERENCES sessions (key))",
    "INSERT INTO turns VALUES ('deleted')",
  );
  expect(check()).toMatchObject([{ id: "database.orphaned_rows", result: "warning" }]);
});

test("names a damaged database that the server has moved aside", () => {
  const quarantined = `${fixture.paths.database}.damaged-2026-11-25T04-30-44-579Z`;
  for (const suffix of ["", "-wal"]) writeFileSync(quarantined + suffix, "");
  expect(check()).toMatchObject([
    { id: "database.ok" },
    { id: "database.quarantined", result: "warning", found: expect.stringContaining(quarantined) },
  ]);
});
