import { expect, test } from "bun:test";
import { AccountLimits, type PlanWindow } from "../../src/limits/account.ts";
import { ManualClock } from "../support/manual-clock.ts";

const HOUR = 3_600_000;

function accountAt(clock = new ManualClock()) {
  const stored: (readonly PlanWindow[])[] = [];
  const limits = new AccountLimits(clock, { windows: () => [], noteWindows: (windows) => stored.push(windows) });
  return { clock, limits, stored };
}

test("knows no window before Claude Code has reported one", () => {
  expect(accountAt().limits.windows()).toEqual([]);
});

test("keeps the newest figures of each window", async () => {
  const { clock, limits } = accountAt();
  const resetsAt = clock.wallTime() + HOUR;
  limits.note([
    { name: "five_hour", usedPercent: 12, resetsAt },
    { name: "seven_day", usedPercent: 40, resetsAt: resetsAt + HOUR },
  ]);
  const first = clock.wallTime();
  await clock.pass(60_000);

  limits.note([{ name: "five_hour", usedPercent: 13, resetsAt }]);

  expect(limits.windows()).toEqual([
    { name: "five_hour", usedPercent: 13, resetsAt, seenAt: clock.wallTime() },
    { name: "seven_day", usedPercent: 40, resetsAt: resetsAt + HOUR, seenAt: first },
  ]);
});

test("a window whose reset has passed is unknown, not empty", async () => {
  const { clock, limits } = accountAt();
  const seenAt = clock.wallTime();
  limits.note([{ name: "five_hour", usedPercent: 99, resetsAt: seenAt + HOUR }]);

  await clock.pass(HOUR);

  expect(limits.windows()).toEqual([{ name: "five_hour", usedPercent: null, resetsAt: null, seenAt }]);
});

test("stores only figures that changed", () => {
  const { limits, stored } = accountAt();
  const report = { name: "five_hour", usedPercent: 80, resetsAt: null };

  limits.note([report]);
  limits.note([report]);
  limits.note([{ ...report, usedPercent: 81 }]);

  expect(stored.map(([window]) => window?.usedPercent)).toEqual([80, 81]);
});
