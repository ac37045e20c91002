/** What a node has of its conversations, with a real Postgres and without a server. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { sql } from "drizzle-orm";
import { createHeldConversations, type Visit } from "../../src/fleet/held.ts";
import type { SessionFiles } from "../../src/fleet/session-files.ts";
import { openMemoryStore } from "../../src/store/database.ts";
import { createPermissionLog } from "../../src/store/permissions.ts";
import { createSessionStore } from "../../src/store/sessions.ts";
import { session } from "../store/rows.ts";
import { createDatabase, type FleetDatabase } from "./database.ts";

let database: FleetDatabase;

beforeAll(async () => {
  database = await createDatabase();
}, 60_000);
afterAll(() => database?.[Symbol.asyncDispose]());

const NO_FILES: SessionFiles = {
  changes: async () => ({ pieces: [], rewritten: [], stored: new Map() }),
  noteStored: () => {},
  restore: async () => {},
  forget: () => {},
};

/** A node whose lease holds. */
async function createNode(files: Partial<SessionFiles> = {}) {
  const id = crypto.randomUUID();
  await database.rows(
    `INSERT INTO nodes VALUES ('${id}', '${id}', 'https://x', now() + '1 minute', false, 1, 0, 0, 0, '1')`,
  );
  const store = openMemoryStore();
  const sessions = createSessionStore(store);
  const held = createHeldConversations({
    postgres: database.postgres,
    store,
    sessions,
    files: { ...NO_FILES, ...files },
    lease: () => ({ id, isGood: true }),
    flush: () => {},
    isInMemory: () => false,
    abandon: async () => {},
  });
  /** The conversation, which must be this node's. */
  const enter = async (key: string): Promise<Visit> => {
    const entered = await held.enter(key);
    if ("leave" in entered) return entered;
    throw new Error(`${entered.name} has it`);
  };
  const noted = () => store.database.all<{ conversation: string }>(sql`SELECT DISTINCT conversation FROM changed`);
  return { id, store, sessions, held, enter, noted, permissions: createPermissionLog(store) };
}

const running = (backends: readonly string[]) =>
  `SELECT pid FROM pg_stat_activity WHERE pid IN (${backends.join(", ")})`;

const prompt = (key: string) => ({
  id: crypto.randomUUID(),
  session: key,
  turn: null,
  tool: "Bash",
  input: "{}",
  sender: null,
  askedAt: 1,
});

test("text with a NUL character is committed", async () => {
  const { held, enter, sessions } = await createNode();
  await enter("nul");
  sessions.save(session("nul", { systemPrompt: "a\0b" }));
  await held.commitAll("nul");
  expect(await database.rows("SELECT system_prompt FROM sessions WHERE key = 'nul'")).toEqual(["a\ufffdb"]);
});

test("a commit that arrives late undoes nothing, and the next one counts", async () => {
  const { held, enter, sessions } = await createNode();
  await enter("late");
  const prompt = (text: string) => sessions.save(session("late", { systemPrompt: text }));
  const recorded = () => database.rows("SELECT system_prompt FROM sessions WHERE key = 'late'");
  prompt("first");
  await held.commitAll("late");
  const backends = await database.rows(
    "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
  );
  for (const pid of backends) process.kill(Number(pid), "SIGSTOP");
  prompt("second");
  // The first attempt is with a backend that stands still, and the second one is not.
  await held.commitAll("late");
  prompt("third");
  await held.commitAll("late");
  for (const pid of backends) process.kill(Number(pid), "SIGCONT");
  // They do what they have received, and end, since their connections are closed.
  while ((await database.rows(running(backends))).length > 0) await Bun.sleep(20);
  expect(await recorded()).toEqual(["third"]);
  prompt("fourth");
  await held.commitAll("late");
  expect(await recorded()).toEqual(["fourth"]);
});

test("a commit whose answer was lost does not end the conversation", async () => {
  const { id, held, enter, sessions } = await createNode();
  await enter("unheard");
  sessions.save(session("unheard"));
  await held.commitAll("unheard");
  // As a commit does that arrives after its node has given it up.
  await database.rows(`UPDATE claims SET seq = seq + 1 WHERE node = '${id}' RETURNING seq`);
  sessions.save(session("unheard", { systemPrompt: "newer" }));
  await held.commitAll("unheard");
  expect(await database.rows("SELECT system_prompt FROM sessions WHERE key = 'unheard'")).toEqual(["newer"]);
  expect(held.refusals).toBe(0);
});

test("a claim whose answer was lost is given back with the next sweep", async () => {
  const first = await createNode();
  (await first.enter("lost")).leave();
  const owner = () => database.rows("SELECT node FROM claims WHERE key = 'lost' AND node IS NOT NULL");
  while ((await owner()).length > 0) await Bun.sleep(20);
  const { id, held, enter } = await createNode();
  const lock = database.rows("BEGIN; SELECT 1 FROM claims WHERE key = 'lost' FOR UPDATE; SELECT pg_sleep(6); COMMIT");
  while ((await database.rows("SELECT 1 FROM pg_locks WHERE mode = 'RowShareLock'")).length === 0) await Bun.sleep(20);
  await expect(enter("lost")).rejects.toMatchObject({ code: "database_unavailable" });
  await lock;
  while ((await owner())[0] !== id) await Bun.sleep(20);
  await held.sweep();
  while ((await owner()).length > 0) await Bun.sleep(20);
  expect(held.has("lost")).toBe(false);
});

test("a commit that Postgres refuses for its content fails at once, and works when the fault is mended", async () => {
  const { held, enter, sessions } = await createNode();
  await enter("refused");
  sessions.save(session("refused", { systemPrompt: "wrong" }));
  await database.rows("ALTER TABLE sessions ADD CONSTRAINT right_prompt CHECK (system_prompt <> 'wrong')");
  await expect(held.commitAll("refused")).rejects.toMatchObject({ code: "internal_error" });
  await database.rows("ALTER TABLE sessions DROP CONSTRAINT right_prompt");
  await held.commitAll("refused");
  expect(await database.rows("SELECT system_prompt FROM sessions WHERE key = 'refused'")).toEqual(["wrong"]);
});

test("the deletion of a conversation with a branch is committed, that of the branch too", async () => {
  const { held, enter, sessions, permissions, noted } = await createNode();
  const visit = await enter("root");
  sessions.save(session("root"));
  const branch = { ...session("branch", { branchOf: "root" }), turns: 0 };
  sessions.save(branch);
  sessions.replaceClaudeSession(branch, { ...branch, claudeSession: "next" });
  permissions.insertPrompt(prompt("branch"));
  await held.commitAll("root");
  expect(await database.rows("SELECT key FROM past_sessions")).toEqual(["branch"]);
  sessions.remove("branch");
  sessions.remove("root");
  visit.leave();
  await held.sweep();
  expect(await database.rows("SELECT key FROM sessions WHERE key IN ('root', 'branch')")).toEqual([]);
  expect(await database.rows("SELECT key FROM past_sessions")).toEqual([]);
  expect(noted()).toEqual([]);
});

test("what belongs to no conversation of a fleet is not noted for ever", async () => {
  const { held, enter, sessions, noted } = await createNode();
  await enter("kept");
  sessions.save(session("single request", { source: "one-shot" }));
  expect(noted()).toEqual([{ conversation: "single request" }]);
  await held.sweep();
  expect(noted()).toEqual([]);
});

test("a conversation that could not be loaded may be claimed by another node", async () => {
  const first = await createNode();
  const visit = await first.enter("full");
  first.sessions.save(session("full"));
  await first.held.commitAll("full");
  const { claudeSession } = session("full");
  await database.rows(`INSERT INTO files VALUES ('${claudeSession}', 'transcript/x', 0, 1, '')`);
  visit.leave();
  await first.held.sweep();
  const restore = () => Promise.reject(new Error("no space left on device"));
  const second = await createNode({ restore });
  await expect(second.enter("full")).rejects.toThrow("no space left");
  expect([second.held.count, second.sessions.find("full")]).toEqual([0, undefined]);
  await first.enter("full");
});
