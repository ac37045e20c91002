/** What pages are sent, and when nothing runs. */
import { expect, test } from "bun:test";
import { RequestError } from "../../src/core/errors.ts";
import { LiveFeed } from "../../src/live/feed.ts";
import { RecentErrors } from "../../src/live/recent-errors.ts";
import type { Snapshot } from "../../src/live/snapshot.ts";
import type { LiveConversation, LiveOverview } from "../../src/wire/live.ts";
import { ManualClock } from "../support/manual-clock.ts";

const TICK_MS = 400;

function world() {
  const clock = new ManualClock();
  const conversations: LiveConversation[] = [];
  const overview = { role: "look", waiting: 0 } as LiveOverview;
  const turns = { changes: 0 };
  const errors = new RecentErrors();
  const feed = new LiveFeed({
    snapshot: { overview: () => overview, conversations: () => [...conversations] } as unknown as Snapshot,
    permissions: { pending: [] },
    errors,
    turns,
    clock,
  });
  const sent: [name: string, data: unknown][] = [];
  const leave = feed.watch("look", (name, data) => void sent.push([name, data]));
  /** What was sent since the last call, after the next comparison. */
  const next = async () => {
    await clock.pass(TICK_MS);
    return sent.splice(0);
  };
  return { clock, conversations, overview, turns, errors, sent, leave, next };
}

const conversation = (key: string, state: LiveConversation["state"]) => ({ key, state }) as LiveConversation;

test("a page gets everything at first, and nothing while nothing changes", async () => {
  const { sent, next } = world();
  expect(sent.splice(0).map(([name]) => name)).toEqual(["conversations", "overview", "permissions", "errors"]);
  expect(await next()).toEqual([]);
});

test("a page gets only the conversations that have changed, and the keys of those that were deleted", async () => {
  const { conversations, sent, next } = world();
  conversations.push(conversation("a", "idle"), conversation("b", "idle"));
  await next();
  conversations[1] = conversation("b", "cold");
  expect(await next()).toEqual([["conversations", { whole: false, data: [conversation("b", "cold")], removed: [] }]]);
  conversations.pop();
  expect(await next()).toEqual([["conversations", { whole: false, data: [], removed: ["b"] }]]);
  expect(sent).toEqual([]);
});

test("the turns of a conversation that works, or has just worked, are read again when the database has changed", async () => {
  const { conversations, turns, next } = world();
  conversations.push(conversation("a", "running"), conversation("b", "idle"));
  turns.changes += 1;
  expect(await next()).toContainEqual(["timeline", { sessions: ["a"] }]);
  expect(await next()).toEqual([]);

  // The figures of a turn come after its end.
  conversations[0] = conversation("a", "idle");
  await next();
  turns.changes += 1;
  expect(await next()).toEqual([["timeline", { sessions: ["a"] }]]);
  for (let tick = 0; tick < 30; tick += 1) await next();
  turns.changes += 1;
  expect(await next()).toEqual([]);
});

test("the newest fifty errors are sent, the newest first", async () => {
  const { errors, next } = world();
  await next();
  for (let at = 1; at <= 60; at += 1) errors.note(new RequestError("claude_failed", `${at}`), at % 2 ? "a" : null);
  const [[name, data] = []] = await next();
  const { data: shown } = data as { data: { message: string; session: string | null }[] };
  expect([name, shown.length, shown[0]?.message, shown[0]?.session]).toEqual(["errors", 50, "60", null]);
});

test("nothing runs when the last page has left", async () => {
  const { clock, conversations, sent, leave, next } = world();
  expect(clock.timers).toBe(1);
  leave();
  expect(clock.timers).toBe(0);
  sent.splice(0);
  conversations.push(conversation("a", "idle"));
  expect(await next()).toEqual([]);
});
