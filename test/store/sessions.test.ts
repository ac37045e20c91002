/** The store of conversations. */
import { expect, test } from "bun:test";
import { createSessionStore } from "../../src/store/sessions.ts";
import { createTurnStore } from "../../src/store/turns.ts";
import { createTestDatabase, sentTurn, session } from "./rows.ts";

test("lists the most recently used conversations first", () => {
  using database = createTestDatabase();
  const sessions = createSessionStore(database.store);
  for (const [key, lastActiveAt] of [
    ["a", 2],
    ["b", 3],
    ["c", 1],
  ] as const) {
    sessions.save(session(key, { lastActiveAt }));
  }
  expect(sessions.all().map(({ key }) => key)).toEqual(["b", "a", "c"]);
  expect(sessions.latest(2).map(({ key }) => key)).toEqual(["b", "a"]);
});

test("finds the conversation that used an affinity id last", () => {
  using database = createTestDatabase();
  const sessions = createSessionStore(database.store);
  sessions.save(session("a", { affinity: "id", lastActiveAt: 1 }));
  sessions.save(session("b", { affinity: "id", lastActiveAt: 2 }));
  expect(sessions.keyWithAffinity("id")).toBe("b");
  expect(sessions.keyWithAffinity("other")).toBeUndefined();
});

test("saving a known conversation updates it and keeps its count of turns", async () => {
  using database = createTestDatabase("a");
  const sessions = createSessionStore(database.store);
  const turns = createTurnStore(database.store);
  await turns.insertSent(sentTurn("1", "a"));
  turns.markReceived("1", "a", 20, null);
  turns.flush();
  sessions.save(session("a", { workspace: "/other" }));
  expect(sessions.find("a")).toMatchObject({ workspace: "/other", turns: 1 });
});

test("finds the branches of a conversation", () => {
  using database = createTestDatabase("a", "b");
  const sessions = createSessionStore(database.store);
  sessions.save(session("model:x:a", { branchOf: "a" }));
  expect(sessions.branches("a").map(({ key }) => key)).toEqual(["model:x:a"]);
});

test("keeps past Claude sessions, and deletes everything of a conversation", async () => {
  using database = createTestDatabase("a");
  const sessions = createSessionStore(database.store);
  const turns = createTurnStore(database.store);
  await turns.insertSent(sentTurn("1", "a"));
  const first = sessions.find("a");
  if (!first) throw new Error("the session is missing");
  sessions.replaceClaudeSession(first, { ...first, claudeSession: "second", lastActiveAt: 9 });
  expect(sessions.pastSessions("a")).toMatchObject([{ claudeSession: "claude a", endedAt: first.lastActiveAt }]);
  expect(sessions.find("a")?.claudeSession).toBe("second");
  expect(sessions.remove("a")).toEqual(["claude a", "second"]);
  expect([sessions.find("a"), sessions.pastSessions("a"), turns.latest("a", 10)]).toEqual([undefined, [], []]);
});
