/** What Postgres has must be what SQLite has: the columns of both, and rows that go there and back. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { deleteExpired } from "../../src/fleet/expired.ts";
import { TRACKED } from "../../src/fleet/tracked-tables.ts";
import { openMemoryStore } from "../../src/store/database.ts";
import { createDatabase, type FleetDatabase } from "./database.ts";

let database: FleetDatabase;

beforeAll(async () => {
  database = await createDatabase();
}, 60_000);

afterAll(() => database?.[Symbol.asyncDispose]());

/** Columns that only Postgres has. */
const OWN: Record<string, readonly string[]> = { turns: ["position", "epoch"], usage_sums: ["server"] };
const KINDS: Record<string, string> = { INTEGER: "bigint|boolean", TEXT: "text", REAL: "double precision" };

test.each([...TRACKED.map(({ name }) => name), "usage_sums"])(
  "%s has the same columns in both databases",
  async (name) => {
    const { database: memory } = openMemoryStore();
    const here = memory.all<{ name: string; type: string; notnull: number }>(sql.raw(`PRAGMA table_info(${name})`));
    const there = await database.rows(
      `SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = '${name}'`,
    );
    const shared = there.map((row) => row.split("|")).filter(([column]) => !OWN[name]?.includes(column ?? ""));
    const byName = (one: string[], other: string[]) => (one[0] ?? "").localeCompare(other[0] ?? "");
    expect(shared.map(([column = "", , isNullable = ""]) => [column, isNullable]).toSorted(byName)).toEqual(
      here.map((column) => [column.name, column.notnull ? "NO" : "YES"]).toSorted(byName),
    );
    for (const [column, type] of shared) {
      const { type: kind = "" } = here.find((one) => one.name === column) ?? {};
      expect(KINDS[kind.toUpperCase()]?.split("|")).toContain(type);
    }
  },
);

test("conversations that were not used are deleted with all that belongs to them, unless a node has them", async () => {
  const node = "00000000-0000-4000-8000-000000000001";
  await database.rows(`
    INSERT INTO nodes VALUES ('${node}', 'a', 'https://a', now(), false, 1, 0, 0, 0, '1');
    INSERT INTO claims SELECT key, owner, 1, 0 FROM (VALUES ('old', null::uuid), ('held', '${node}'), ('new', null)) c(key, owner);
    INSERT INTO sessions (key, source, claude_session, workspace, launch_hash, created_at, last_active_at, turns, branch_of)
      SELECT key, 'user', 'claude-' || key, '/', '', 1, at, 1, root FROM
        (VALUES ('old', 1, null), ('old of another model', 1, 'old'), ('held', 1, null), ('new', 99, null)) s(key, at, root);
    INSERT INTO turns (id, session, claude_session, state, prints, past_prints, dropped, sent_at, ended_at, usage_open, response_deleted)
      SELECT 'turn-' || key || at, key, '', 'done', '[]', '[]', 0, at, at, false, false FROM
        (VALUES ('old', 1), ('held', 1), ('new', 1), ('new', 99)) t(key, at);
    INSERT INTO files SELECT 'claude-' || key, 'transcript/x', 0, 1, '' FROM (VALUES ('old'), ('held'), ('new')) f(key);
  `);
  expect(await deleteExpired(database.postgres, 50)).toBe(1);
  expect(await database.rows("SELECT key FROM sessions ORDER BY key")).toEqual(["held", "new"]);
  expect(await database.rows("SELECT key FROM claims ORDER BY key")).toEqual(["held", "new"]);
  expect(await database.rows("SELECT claude_session FROM files ORDER BY 1")).toEqual(["claude-held", "claude-new"]);
  expect(await database.rows("SELECT id FROM turns ORDER BY id")).toEqual(["turn-held1", "turn-new99"]);
});

test("old turns of conversations that stay are deleted, from more of them than one statement looks at", async () => {
  await database.rows(`
    TRUNCATE nodes, claims, sessions CASCADE;
    INSERT INTO claims SELECT n, null, 1, 0 FROM generate_series(1, 2500) n;
    INSERT INTO sessions (key, source, claude_session, workspace, launch_hash, created_at, last_active_at, turns)
      SELECT n, 'user', n, '/', '', 1, 99, 2 FROM generate_series(1, 2500) n;
    INSERT INTO turns (id, session, claude_session, state, prints, past_prints, dropped, sent_at, ended_at, usage_open, response_deleted)
      SELECT n || '-' || at, n, '', 'done', '[]', '[]', 0, at, at, false, false FROM generate_series(1, 2500) n, (VALUES (1), (99)) t(at);
  `);
  expect(await deleteExpired(database.postgres, 50)).toBe(0);
  expect(await database.rows("SELECT ended_at, count(*) FROM turns GROUP BY 1")).toEqual(["99|2500"]);
});

test("a conversation stays with a branch that is used, and nothing stays of one that was deleted", async () => {
  await database.rows(`
    TRUNCATE nodes, claims, sessions, past_sessions, permissions, files CASCADE;
    INSERT INTO claims VALUES ('root', null, 1, 0), ('gone', null, 1, 0);
    INSERT INTO sessions (key, source, claude_session, workspace, launch_hash, created_at, last_active_at, turns, branch_of)
      VALUES ('root', 'user', 'c1', '/', '', 1, 1, 1, null), ('root model:x:y', 'user', 'c2', '/', '', 1, 99, 1, 'root');
    INSERT INTO past_sessions (claude_session, key, workspace, created_at, ended_at) VALUES ('c0', 'gone', '/', 1, 1);
    INSERT INTO past_sessions (claude_session, key, workspace, created_at, ended_at) VALUES ('c3', 'root', '/', 1, 1);
    INSERT INTO files SELECT id, 'transcript/x', 0, 1, '' FROM (VALUES ('c0'), ('c1'), ('c3')) f(id);
    INSERT INTO permissions (id, session, tool, input, asked_at, rule) VALUES ('p1', 'gone', 'Bash', '{}', 1, 'Bash(ls)'),
      ('p2', 'root', 'Bash', '{}', 1, null), ('p3', 'root', 'Bash', '{}', 1, 'Bash(ls)'), ('p4', 'root', 'Bash', '{}', 99, null);
  `);
  expect(await deleteExpired(database.postgres, 50)).toBe(0);
  expect(await database.rows("SELECT key FROM sessions ORDER BY key")).toEqual(["root", "root model:x:y"]);
  expect(await database.rows("SELECT key FROM claims")).toEqual(["root"]);
  expect(await database.rows("SELECT key FROM past_sessions")).toEqual([]);
  expect(await database.rows("SELECT claude_session FROM files")).toEqual(["c1"]);
  // The rule of a prompt is needed as long as its conversation.
  expect(await database.rows("SELECT id FROM permissions ORDER BY id")).toEqual(["p3", "p4"]);
});
