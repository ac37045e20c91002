import { expect, test } from "bun:test";
import { Termination } from "../../src/claude/termination.ts";
import { ManualClock } from "../support/manual-clock.ts";

function createTermination() {
  const clock = new ManualClock();
  const signals: string[] = [];
  return { clock, signals, termination: new Termination((signal) => signals.push(signal), clock) };
}

test("a process gets SIGTERM first, and SIGKILL when its time is over", async () => {
  const { termination, clock, signals } = createTermination();
  expect(termination.hasBegun).toBe(false);
  termination.begin(5_000);
  await clock.pass(4_999);
  expect([termination.hasBegun, signals]).toEqual([true, ["SIGTERM"]]);
  await clock.pass(1);

  expect(signals).toEqual(["SIGTERM", "SIGKILL"]);
});

test("the remaining time can be shortened", async () => {
  const { termination, clock, signals } = createTermination();
  termination.begin(5_000);
  termination.killAfter(100);
  await clock.pass(100);
  expect(signals).toEqual(["SIGTERM", "SIGKILL"]);
  await clock.pass(10_000);

  expect(signals).toHaveLength(2);
});

test("a process that has exited gets no more signals", async () => {
  const { termination, clock, signals } = createTermination();
  termination.begin(5_000);
  termination.end();
  await clock.pass(10_000);

  expect(signals).toEqual(["SIGTERM"]);
});
