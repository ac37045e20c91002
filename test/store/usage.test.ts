/** The sums of turns and tokens. */
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readMigrationFiles } from "drizzle-orm/migrator";
import type { ModelUsage } from "../../src/core/usage.ts";
import { openStore } from "../../src/store/database.ts";
import { MIGRATIONS } from "../../src/store/database-check.ts";
import { createSessionStore } from "../../src/store/sessions.ts";
import { createTurnStore } from "../../src/store/turns.ts";
import { createUsageSums, firstTextBucket, firstTextWithin } from "../../src/store/usage.ts";
import { createTestDatabase, sentTurn, session } from "./rows.ts";

/** Local times, since the days are those of the server. */
const at = (day: number, hour: number, minute = 0) => new Date(2026, 10, day, hour, minute).getTime();
const used = (output: number, more: Partial<ModelUsage> = {}): ModelUsage => ({
  model: "opus",
  calls: 1,
  input: 1,
  cacheRead: 2,
  cacheWrite: 3,
  output,
  cost: null,
  ...more,
});
const end = (state: "done" | "failed" | "interrupted", firstTextAt: number | null = null) =>
  ({ state, at: at(1, 1), firstTextAt, errorCode: null, exchanges: null }) as const;

/** A database with two turns in each of two conversations. */
async function withTurns() {
  const database = createTestDatabase("a", "b");
  const turns = createTurnStore(database.store);
  for (const [id, key, sentAt] of [
    ["a1", "a", at(1, 10)],
    ["a2", "a", at(1, 10, 59)],
    ["b1", "b", at(1, 11)],
    ["b2", "b", at(2, 0)],
  ] as const) {
    await turns.insertSent(sentTurn(id, key, { sentAt }));
    turns.setUsage(id, [used(10)], true);
    turns.markEnded(id, end("done", sentAt + 400));
  }
  turns.flush();
  return { database, turns };
}

const outputs = (database: ReturnType<typeof createTestDatabase>, by: Parameters<typeof query>[1], since = 0) =>
  query(database, by, since).map(({ key, done, output }) => [key, done, output]);
const query = (
  database: ReturnType<typeof createTestDatabase>,
  by: Parameters<ReturnType<typeof createUsageSums>["query"]>[0],
  since = 0,
) => createUsageSums(database.store).query(by, since);

describe("the cost of a turn that is not known by model", () => {
  const haiku = used(7, { model: "haiku" });
  /** Makes these changes of one turn, each in its own commit or all in one. @returns the sums by model */
  async function sumsOf(isTogether: boolean, ...changes: ((turns: ReturnType<typeof createTurnStore>) => void)[]) {
    using database = createTestDatabase("a");
    const turns = createTurnStore(database.store);
    await turns.insertSent(sentTurn("1", "a", { sentAt: at(1, 10) }));
    for (const change of changes) {
      change(turns);
      if (!isTogether) turns.flush();
    }
    turns.flush();
    return query(database, "model").map(({ key, done, output, cost, unpriced }) => [key, done, output, cost, unpriced]);
  }

  const done = (turns: ReturnType<typeof createTurnStore>) => turns.markEnded("1", end("done"));
  const calls = (turns: ReturnType<typeof createTurnStore>) => turns.setUsage("1", [used(5), haiku], true);
  const cost = (turns: ReturnType<typeof createTurnStore>) => turns.addCost("1", 0.25);
  const priced = [
    ["haiku", 0, 7, 0, 0],
    ["opus", 1, 5, 0.5, 0],
  ];
  test.each([true, false])("counts for its main model, whenever it is reported (together: %p)", async (isTogether) => {
    expect(await sumsOf(isTogether, cost, calls, done, cost)).toEqual(priced);
    expect(await sumsOf(isTogether, calls, cost, cost, done)).toEqual(priced);
    expect(await sumsOf(isTogether, cost, cost, done, calls)).toEqual(priced);
    expect(await sumsOf(isTogether, done, cost)).toEqual([["", 1, 0, 0, 0]]);
  });

  test("gives way to the costs of each model", async () => {
    const known = (turns: ReturnType<typeof createTurnStore>) => turns.setUsage("1", [used(5, { cost: 0.125 })], true);
    expect(await sumsOf(false, calls, cost, known, done)).toEqual([["opus", 1, 5, 0.125, 0]]);
  });
});

test("turns and tokens are summed by hour, day, conversation and model", async () => {
  const { database } = await withTurns();
  using _ = database;
  expect(outputs(database, "hour")).toEqual([
    [at(1, 10), 2, 20],
    [at(1, 11), 1, 10],
    [at(2, 0), 1, 10],
  ]);
  expect(outputs(database, "day")).toEqual([
    [at(1, 0), 3, 30],
    [at(2, 0), 1, 10],
  ]);
  expect(outputs(database, "day", at(2, 0))).toEqual([[at(2, 0), 1, 10]]);
  expect(outputs(database, "conversation")).toEqual([
    ["a", 2, 20],
    ["b", 2, 20],
  ]);
  expect(query(database, "model")).toMatchObject([
    { key: "opus", calls: 4, input: 4, cacheRead: 8, cacheWrite: 12, output: 40, unpriced: 4, firstTexts: { 400: 4 } },
  ]);
});

test("a turn that changes is counted once, as what it is last", async () => {
  using database = createTestDatabase("a");
  const turns = createTurnStore(database.store);
  await turns.insertSent(sentTurn("1", "a", { sentAt: at(1, 1) }));
  const changes = [
    () => turns.setUsage("1", [used(1)], false),
    () => turns.markEnded("1", end("done")),
    () => turns.markEnded("1", end("failed")),
    () => turns.setUsage("1", [used(5, { cost: 0.5 }), used(7, { model: "haiku", cost: 0.25 })], true),
  ];
  for (const change of changes) {
    change();
    turns.flush();
  }
  expect(query(database, "model")).toMatchObject([
    { key: "haiku", done: 0, failed: 0, calls: 1, output: 7, cost: 0.25, unpriced: 0 },
    { key: "opus", done: 0, failed: 1, calls: 1, output: 5, cost: 0.5, unpriced: 0 },
  ]);
});

test("the sums stay when their turns and conversations are deleted", async () => {
  const { database, turns } = await withTurns();
  using _ = database;
  const before = query(database, "conversation");
  createSessionStore(database.store).remove("a");
  expect(turns.latest("a", 10)).toEqual([]);
  expect(query(database, "conversation")).toEqual(before);
  // Figures of a deleted turn may still arrive.
  turns.setUsage("a1", [used(99)], true);
  turns.flush();
  expect(query(database, "conversation")).toEqual(before);
});

test("a turn that was running when the server was killed is lost, and its tokens are counted once", async () => {
  using database = createTestDatabase("a");
  const turns = createTurnStore(database.store);
  await turns.insertSent(sentTurn("1", "a", { sentAt: at(1, 1) }));
  turns.setUsage("1", [used(5)], false);
  turns.flush();
  for (const _start of [1, 2]) {
    database.reopen();
    expect(query(database, "day")).toMatchObject([{ lost: 1, done: 0, output: 5 }]);
  }
});

test("branches count for their conversation, and requests without a conversation together", async () => {
  using database = createTestDatabase();
  const sessions = createSessionStore(database.store);
  const turns = createTurnStore(database.store);
  const rows = [
    session("main", { agent: "anna" }),
    session("model:x:main", { branchOf: "main", agent: "anna" }),
    session("unnamed:1", { source: "unnamed" }),
    session("unnamed:2", { source: "unnamed" }),
    session("one-shot:1", { source: "one-shot" }),
    session("slug", { source: "side" }),
  ];
  for (const row of rows) {
    sessions.save(row);
    await turns.insertSent(sentTurn(row.key, row.key, { sentAt: at(1, 1) }));
    turns.setUsage(row.key, [used(10)], true);
    turns.markEnded(row.key, end("done"));
  }
  const request = { state: "interrupted", sentAt: at(1, 1), firstTextAt: null, modelUsage: [], agent: null } as const;
  turns.count({ ...request, conversation: "one-shot" });
  turns.flush();
  expect(query(database, "conversation").map(({ key, done, interrupted }) => [key, done, interrupted])).toEqual([
    ["main", 2, 0],
    ["one-shot", 2, 1],
    ["unnamed", 2, 0],
  ]);
  expect(outputs(database, "agent")).toEqual([
    ["", 4, 40],
    ["anna", 2, 20],
  ]);
});

test("hours become days without any change of their sums", async () => {
  const { database } = await withTurns();
  using _ = database;
  const sums = createUsageSums(database.store);
  const [before, byModel] = [query(database, "day"), query(database, "model")];
  expect(sums.mergeOldestDay(at(1, 23))).toBe(false);
  expect(sums.mergeOldestDay(at(2, 1))).toBe(true);
  expect(sums.mergeOldestDay(at(2, 1))).toBe(false);
  expect(query(database, "day")).toEqual(before);
  expect(query(database, "model")).toEqual(byModel);
  expect(outputs(database, "hour")).toEqual([
    [at(1, 0), 3, 30],
    [at(2, 0), 1, 10],
  ]);
});

describe("the time to the first text", () => {
  test.each([
    [0, 10],
    [10, 10],
    [11, 12],
    [400, 400],
    [401, 500],
    [999, 1000],
    [1000, 1000],
    [65_000, 80_000],
  ])("%d ms is in the bucket %d", (ms, bucket) => {
    expect(firstTextBucket(ms)).toBe(bucket);
  });

  test("has a median and percentiles", () => {
    const buckets = { 2000: 1, 100: 10, 50: 9 };
    expect(firstTextWithin(buckets, 0.5)).toBe(100);
    expect(firstTextWithin(buckets, 0.95)).toBe(100);
    expect(firstTextWithin(buckets, 0.99)).toBe(2000);
    expect(firstTextWithin({}, 0.5)).toBeNull();
  });
});

test("the turns of earlier versions are part of the sums", () => {
  const folder = mkdtempSync(join(tmpdir(), "synthesis-test-"));
  const file = join(folder, "synthesis.db");
  const migrations = readMigrationFiles({ migrationsFolder: MIGRATIONS });
  const old = new Database(file);
  old.run("create table __drizzle_migrations (id integer primary key, hash text not null, created_at numeric)");
  for (const { sql, folderMillis, hash } of migrations.slice(0, 6)) {
    for (const statement of sql) if (statement.trim()) old.run(statement);
    old.run("insert into __drizzle_migrations (hash, created_at) values (?, ?)", [hash, folderMillis]);
  }
  for (const [key, source] of [
    ["user:a", "user"],
    ["unnamed:1", "unnamed"],
  ] as const) {
    old.run(
      "insert into sessions (key, source, claude_session, workspace, launch_hash, created_at, last_active_at, agent) values (?, ?, ?, '/', '', 1, 1, 'anna')",
      [key, source, key],
    );
  }
  const insert = (id: string, key: string, state: string, sentAt: number, tokens: number | null) =>
    old.run(
      "insert into turns (id, session, state, sent_at, tokens_in, tokens_cached, tokens_out) values (?, ?, ?, ?, ?, ?, ?)",
      [id, key, state, sentAt, tokens, tokens && 1, tokens],
    );
  insert("1", "user:a", "done", at(1, 10, 59), 10);
  insert("2", "user:a", "failed", at(1, 10), null);
  insert("3", "unnamed:1", "done", at(2, 0), 20);
  insert("4", "user:a", "running", at(2, 0), 30);
  old.close();

  const { store } = openStore(file);
  const sums = createUsageSums(store);
  expect(sums.query("day", 0)).toMatchObject([
    { key: at(1, 0), done: 1, failed: 1, input: 9, cacheRead: 1, output: 10, unpriced: 1 },
    { key: at(2, 0), done: 1, lost: 1, input: 48, cacheRead: 2, output: 50, unpriced: 2 },
  ]);
  expect(sums.query("conversation", 0).map(({ key }) => key)).toEqual(["user:a", "unnamed"]);
  store.close();
  rmSync(folder, { recursive: true });
});
