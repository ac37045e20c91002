/** Notifications on their way: retries, order, limits, and the end of the server. */
import { beforeEach, expect, test } from "bun:test";
import type { Notification, Occurrence } from "../../src/notify/notification.ts";
import { Outbox } from "../../src/notify/outbox.ts";
import type { SendResult } from "../../src/notify/send.ts";
import { ManualClock } from "../support/manual-clock.ts";

const DELIVERED: SendResult = { type: "delivered" };
const DOWN: SendResult = { type: "unavailable", why: "cannot be reached", retryAfterMs: null };
const LOST: Occurrence = { kind: "login_lost" };
const BACK: Occurrence = { kind: "login_restored" };

let clock: ManualClock;
let attempts: { readonly at: number; readonly notification: Notification }[];
/** How the receiver answers. A promise that the test keeps open is a slow receiver. */
let answer: (signal: AbortSignal) => SendResult | Promise<SendResult>;
let outbox: Outbox;
beforeEach(() => {
  clock = new ManualClock();
  attempts = [];
  answer = () => DELIVERED;
  outbox = new Outbox(async (notification, signal) => {
    attempts.push({ at: clock.now(), notification });
    return answer(signal);
  }, clock);
});

const say = (occurrence: Occurrence | null) => ({ read: () => occurrence });
const kinds = () => attempts.map(({ notification }) => notification.kind);

test("sends a notification once, in order", async () => {
  let delivered = 0;
  outbox.add({ read: () => LOST, onDelivered: () => (delivered += 1) });
  outbox.add(say(BACK));
  await clock.pass(0);

  expect([kinds(), delivered]).toEqual([["login_lost", "login_restored"], 1]);
  expect(clock.timers).toBe(0);
});

test("delivers each once when the receiver was down for a minute, with growing pauses", async () => {
  const start = clock.now();
  answer = () => (clock.now() - start < 60_000 ? DOWN : DELIVERED);
  outbox.add(say(LOST));
  outbox.add(say(BACK));
  await clock.pass(120_000);

  expect(attempts.map(({ at }) => (at - start) / 1000)).toEqual([0, 1, 3, 7, 15, 31, 63, 63]);
  // A receiver can recognise a notification that it gets twice.
  const ids = attempts.map(({ notification }) => notification.id);
  expect(new Set(ids.slice(0, 7)).size).toBe(1);
  expect(ids[7]).not.toBe(ids[6] as string);
  expect(clock.timers).toBe(0);
});

test.each([
  ["as long as the receiver asks", 90_000, 90_000],
  ["at most an hour", 86_400_000, 3_600_000],
  ["at least a second", 0, 1_000],
])("waits %s", async (_what, retryAfterMs, pause) => {
  answer = () => (attempts.length === 1 ? { ...DOWN, retryAfterMs } : DELIVERED);
  outbox.add(say(LOST));
  await clock.pass(pause - 1);
  expect(attempts).toHaveLength(1);
  await clock.pass(1);

  expect(attempts).toHaveLength(2);
});

test("does not repeat what the receiver refuses, and sends the next", async () => {
  let delivered = 0;
  answer = () => (attempts.length === 1 ? { type: "refused", why: "answers with status 404" } : DELIVERED);
  outbox.add({ read: () => LOST, onDelivered: () => (delivered += 1) });
  outbox.add(say(BACK));
  await clock.pass(0);

  expect([kinds(), delivered]).toEqual([["login_lost", "login_restored"], 0]);
});

test("sends nothing of what is of no use any more", async () => {
  let isUseful = true;
  answer = () => DOWN;
  outbox.add({ read: () => (isUseful ? LOST : null) });
  await clock.pass(0);
  isUseful = false;
  answer = () => DELIVERED;
  outbox.add(say(BACK));
  await clock.pass(10_000);

  expect(kinds()).toEqual(["login_lost", "login_restored"]);
});

test("drops a notification after a day", async () => {
  answer = () => DOWN;
  outbox.add(say(LOST));
  await clock.pass(25 * 3_600_000);

  expect(clock.timers).toBe(0);
});

test("keeps the newest hundred while the receiver is down", async () => {
  answer = () => DOWN;
  for (let n = 0; n < 150; n += 1) outbox.add(say({ kind: "untested_claude", version: `${n}`, tested: "" }));
  await clock.pass(0);
  attempts.length = 0;
  answer = () => DELIVERED;
  await clock.pass(1_000);

  const versions = attempts.map(({ notification }) => (notification as { version?: string }).version);
  expect(versions).toEqual(Array.from({ length: 100 }, (_, n) => `${n + 50}`));
});

test("ends an attempt that takes longer than ten seconds, and tries again", async () => {
  answer = (signal) =>
    attempts.length > 1
      ? DELIVERED
      : new Promise((resolve) => signal.addEventListener("abort", () => resolve({ ...DOWN, why: "does not answer" })));
  outbox.add(say(LOST));
  await clock.pass(9_999);
  expect(attempts).toHaveLength(1);
  await clock.pass(1_001);

  expect(attempts).toHaveLength(2);
});

test("tries once more when the server stops, and accepts nothing after that", async () => {
  answer = () => DOWN;
  outbox.add(say(LOST));
  outbox.add(say(BACK));
  await clock.pass(0);
  attempts.length = 0;
  await outbox.close();
  outbox.add(say(LOST));
  await clock.pass(1_000);

  expect(kinds()).toEqual(["login_lost", "login_restored"]);
  expect(clock.timers).toBe(0);
});

test("does not keep the server from stopping for more than two seconds", async () => {
  answer = (signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve(DOWN)));
  outbox.add(say(LOST));
  outbox.add(say(BACK));
  await clock.pass(0);
  let isClosed = false;
  const closed = outbox.close().then(() => (isClosed = true));
  await clock.pass(1_999);
  expect(isClosed).toBe(false);
  await clock.pass(1);
  await closed;

  expect(kinds()).toEqual(["login_lost"]);
  expect(clock.timers).toBe(0);
});
