/** Chaos schedules: those of a few seeds, and those that once found a bug. `bun run test:chaos` runs more. */
import { expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describeSchedule } from "./describe-schedule.ts";
import { DEFAULT_ORDERS, type Orders } from "./orders.ts";
import { PLANTED, plant } from "./planted.ts";
import { runSchedule } from "./run-schedule.ts";
import { runSeeds } from "./run-seeds.ts";
import type { PlannedMessage, Round, Schedule } from "./schedule.ts";

const SEEDS = Array.from({ length: 8 }, (_, at) => at + 1);

test.each(["interactive", "stream"] as const)(
  "%s: answers or fails every message exactly once and in order, and leaves nothing behind, whatever goes wrong",
  async (engine) => {
    const failures: string[] = [];
    await runSeeds(SEEDS, "stand-ins", engine, 4, (seed, failure) => {
      if (failure) failures.push(`seed ${seed}: ${failure.why}\n${describeSchedule(failure.schedule)}`);
    });
    expect(failures).toEqual([]);
  },
  120_000,
);

const message = (orders: Partial<Orders> = {}, more: Partial<PlannedMessage> = {}): PlannedMessage => ({
  conversation: 0,
  orders: { ...DEFAULT_ORDERS, ...orders },
  fault: null,
  queued: 0,
  stream: true,
  onFailure: "forget",
  ...more,
});
const round = (serverFault: Round["serverFault"], ...messages: PlannedMessage[]): Round => ({ serverFault, messages });
const defaults: Omit<Schedule, "rounds"> = {
  engine: "interactive",
  mode: "live",
  maxProcesses: 1,
  spares: 0,
  shortIdleKill: false,
  clients: ["whole", "alone", "alone"],
};

const regressions: [what: string, schedule: Schedule][] = [
  [
    "keeps the turn when the laptop sleeps before Claude has confirmed the message",
    { ...defaults, rounds: [round("clock forward", message({ hold: "taken" }))] },
  ],
  [
    "notices that Claude is done after the clock is set back",
    { ...defaults, rounds: [round("clock back", message({ hold: "received", stop: "lost" }))] },
  ],
  [
    "keeps the order of deliveries after the clock is set back",
    {
      ...defaults,
      rounds: [
        round(null, message()),
        round("clock back", message({ hold: "received" })),
        round(null, message({ end: "fails" }, { onFailure: "with next" })),
        round(null, message({}, { conversation: 1 })),
      ],
    },
  ],
  [
    "does not deliver a message again when Claude recorded it and then died",
    { ...defaults, rounds: [round(null, message({ hold: "taken" }, { fault: "kill", onFailure: "again" }))] },
  ],
  [
    "leaves nothing behind when claude cannot start on a full disk",
    {
      ...defaults,
      rounds: [
        round("fill disk", message({ hold: "received", end: "ignores Escape" }, { conversation: 1, queued: 1 })),
      ],
    },
  ],
  [
    "remembers a turn that was answered by a reply frame and confirmed by no hook",
    {
      ...defaults,
      mode: "tool",
      rounds: [
        round(null, message()),
        round(null, message({ receipt: "lost" })),
        round(null, message({}, { conversation: 1 })),
      ],
    },
  ],
];
test.each(regressions)("%s", (_what, schedule) => runSchedule(schedule), 60_000);

test("every planted fault still matches its source line", () => {
  const source = join(import.meta.dir, "../../src");
  const copy = mkdtempSync(join(tmpdir(), "synthesis-planted-"));
  for (const fault of PLANTED) {
    const [, file] = fault;
    mkdirSync(join(copy, "src", dirname(file)), { recursive: true });
    cpSync(join(source, file), join(copy, "src", file));
    plant(fault, copy);
  }
  rmSync(copy, { recursive: true });
});
