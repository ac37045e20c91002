/** The record of turns. */
import { expect, test } from "bun:test";
import { createSessionStore } from "../../src/store/sessions.ts";
import { createTurnStore } from "../../src/store/turns.ts";
import { createTestDatabase, sentTurn } from "./rows.ts";

/** The usage of a model call that read 1 of 4 input tokens from the cache. */
const USAGE = { model: "opus", calls: 1, input: 2, cacheRead: 1, cacheWrite: 1, output: 2, cost: null };
const END = { state: "done", at: 30, firstTextAt: 25, errorCode: null, exchanges: null } as const;

test("a turn is in the database before its message is sent", async () => {
  using database = createTestDatabase("a");
  const turns = createTurnStore(database.store);
  const committed = turns.insertSent(sentTurn("1", "a"));
  expect(turns.latest("a", 10)).toEqual([]);
  await committed;
  expect(turns.latest("a", 10)).toMatchObject([{ id: "1", state: "sent", fingerprints: ["f"], hadHistory: false }]);
});

test("turns that are sent at the same time share a commit, which fails for all of them", async () => {
  using database = createTestDatabase("a");
  const turns = createTurnStore(database.store);
  const commits = [turns.insertSent(sentTurn("1", "a")), turns.insertSent(sentTurn("2", "unknown session"))];
  expect((await Promise.allSettled(commits)).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(turns.latest("a", 10)).toEqual([]);
});

test("later changes are committed together, and before anything is read", async () => {
  using database = createTestDatabase("a");
  const turns = createTurnStore(database.store);
  const sessions = createSessionStore(database.store);
  await turns.insertSent(sentTurn("1", "a"));
  turns.markReceived("1", "a", 20, "prompt");
  turns.markEnded("1", END);
  turns.setUsage("1", [USAGE], true);
  expect(sessions.find("a")?.turns).toBe(0);
  expect(turns.latest("a", 10)).toMatchObject([
    { state: "done", promptId: "prompt", receivedAt: 20, firstTextAt: 25, endedAt: 30, tokensIn: 4, tokensOut: 2 },
  ]);
  expect(sessions.find("a")).toMatchObject({ turns: 1, lastActiveAt: 20 });
});

test("a change leaves the columns that it does not set", async () => {
  using database = createTestDatabase("a");
  const turns = createTurnStore(database.store);
  await turns.insertSent(sentTurn("1", "a"));
  turns.markReceived("1", "a", 20, "prompt");
  turns.flush();
  turns.setUsage("1", [USAGE], true);
  expect(turns.latest("a", 10)).toMatchObject([{ state: "running", promptId: "prompt", tokensCached: 1 }]);
});

test("the delivered turns of a Claude session are those that it received or may have received", async () => {
  using database = createTestDatabase("a");
  const turns = createTurnStore(database.store);
  for (const id of ["1", "2", "3"]) await turns.insertSent(sentTurn(id, "a"));
  turns.markReceived("1", "a", 20, null);
  turns.markEnded("2", { ...END, state: "failed", errorCode: "message_not_received" });
  expect(turns.delivered("claude a").map(({ id }) => id)).toEqual(["1"]);
  // Turn 3 was running when the server was killed, so Claude may have its message.
  const restarted = createTurnStore(database.reopen());
  expect(restarted.delivered("claude a").map(({ id, state }) => [id, state])).toEqual([
    ["1", "lost"],
    ["3", "lost"],
  ]);
});

test("the latest turns are in the order of insertion, even if the clock was set back", async () => {
  using database = createTestDatabase("a");
  const turns = createTurnStore(database.store);
  for (const [id, sentAt] of [
    ["1", 300],
    ["2", 100],
    ["3", 200],
  ] as const) {
    await turns.insertSent(sentTurn(id, "a", { sentAt }));
  }
  expect(turns.latest("a", 2).map(({ id }) => id)).toEqual(["2", "3"]);
});

test("the usage of a conversation is the sum over its turns, and null without any", async () => {
  using database = createTestDatabase("a", "b");
  const turns = createTurnStore(database.store);
  for (const id of ["1", "2"]) {
    await turns.insertSent(sentTurn(id, "a"));
    turns.setUsage(id, [USAGE], true);
  }
  expect(turns.totalUsage("a")).toEqual({ input: 8, output: 4, cached: 2 });
  expect(turns.totalUsage("b")).toBeNull();
});

test("the turns whose usage is open are those that have ended, until their last call is counted", async () => {
  using database = createTestDatabase("a");
  const turns = createTurnStore(database.store);
  for (const id of ["1", "2", "3", "4"]) await turns.insertSent(sentTurn(id, "a"));
  for (const [id, ended] of [
    ["1", 30],
    ["2", 40],
    ["3", 50],
  ] as const)
    turns.markEnded(id, { ...END, at: ended });
  turns.setUsage("1", [USAGE], false);
  turns.setUsage("2", [USAGE], true);
  const open = (until: number, of = turns) => of.openUsage(until).map(({ id, modelUsage }) => [id, modelUsage]);
  expect(open(29)).toEqual([]);
  expect(open(49)).toEqual([["1", [USAGE]]]);
  expect(open(50)).toEqual([
    ["1", [USAGE]],
    ["3", null],
  ]);
  // The next server reads the table.
  expect(open(50, createTurnStore(database.store))).toHaveLength(2);
  turns.closeUsage("1");
  // The end of a turn may be noted again.
  turns.markEnded("2", { ...END, at: 45 });
  expect(open(50)).toEqual([["3", null]]);
});
