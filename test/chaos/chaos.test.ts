/** Hostile schedules, those of a few seeds and those that have found a fault once. `bun run test:chaos` plays more. */
import { expect, test } from "bun:test";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Orders, PLAIN } from "./orders.ts";
import { PLANTED, plant } from "./planted.ts";
import { playAll } from "./play.ts";
import { runSchedule } from "./run.ts";
import type { Ask, Round, Schedule } from "./schedule.ts";
import { tell } from "./tell.ts";

const SEEDS = Array.from({ length: 12 }, (_, at) => at + 1);

test("whatever goes wrong, every message is answered or told to have failed, in order, once, and nothing is left", async () => {
  const failures: string[] = [];
  await playAll(SEEDS, "stand-ins", 6, (seed, failure) => {
    if (failure) failures.push(`seed ${seed}: ${failure.why}\n${tell(failure.schedule)}`);
  });
  expect(failures).toEqual([]);
}, 120_000);

const say = (orders: Partial<Orders> = {}, more: Partial<Ask> = {}): Ask => ({
  conversation: 0,
  orders: { ...PLAIN, ...orders },
  fault: null,
  behind: 0,
  stream: true,
  otherwise: "forget",
  ...more,
});
const round = (blow: Round["blow"], ...asks: Ask[]): Round => ({ blow, asks });
const plain: Omit<Schedule, "rounds"> = {
  mode: "live",
  maxProcesses: 1,
  spares: 0,
  restless: false,
  clients: ["whole", "alone", "alone"],
};

const known: [what: string, schedule: Schedule][] = [
  [
    "a laptop that slept while a message was on its way does not end its turn",
    { ...plain, rounds: [round("clock forward", say({ hold: "taken" }))] },
  ],
  [
    "a clock that is set back does not hide that claude is done",
    { ...plain, rounds: [round("clock back", say({ hold: "received", stop: "lost" }))] },
  ],
  [
    "a clock that is set back does not mix up what claude was told last",
    {
      ...plain,
      rounds: [
        round(null, say()),
        round("clock back", say({ hold: "received" })),
        round(null, say({ end: "fails" }, { otherwise: "with next" })),
        round(null, say({}, { conversation: 1 })),
      ],
    },
  ],
  [
    "a message that claude took and died of is not told again",
    { ...plain, rounds: [round(null, say({ hold: "taken" }, { fault: "kill", otherwise: "again" }))] },
  ],
  [
    "a claude that cannot be started on a full disk leaves nothing",
    {
      ...plain,
      rounds: [round("fill disk", say({ hold: "received", end: "is stubborn" }, { conversation: 1, behind: 1 }))],
    },
  ],
  [
    "what was answered with a reply, and by no hook, is known after a rest",
    {
      ...plain,
      mode: "tool",
      rounds: [round(null, say()), round(null, say({ receipt: "lost" })), round(null, say({}, { conversation: 1 }))],
    },
  ],
];
test.each(known)("%s", (_what, schedule) => runSchedule(schedule), 60_000);

test("every fault that is planted on purpose still has its place", () => {
  for (const fault of PLANTED) {
    const copy = mkdtempSync(join(tmpdir(), "synthesis-planted-"));
    cpSync(join(import.meta.dir, "../../src"), join(copy, "src"), { recursive: true });
    plant(fault, copy);
    rmSync(copy, { recursive: true });
  }
});
