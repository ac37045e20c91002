/** Plays the schedule of a seed. */
import fc from "fast-check";
import { runSchedule } from "./run.ts";
import { type Schedule, schedules } from "./schedule.ts";
import { type Who, Wrong } from "./stage.ts";

/** Looking for a smaller schedule ends after so long, in ms. */
const SHRINKING_MS = 120_000;

export interface Failure {
  readonly schedule: Schedule;
  readonly why: string;
}

/**
 * @param who plays it
 * @param shrinks looks for the smallest schedule that still fails
 * @returns the schedule that failed, and why; null when all went well
 */
export async function play(seed: number, who: Who, shrinks = false): Promise<Failure | null> {
  let why = "";
  const property = fc.asyncProperty(schedules(1, who), async (schedule) => {
    try {
      await runSchedule(schedule, who);
      return true;
    } catch (error) {
      // Anything else is a fault of the suite's own; its place is of interest.
      why = error instanceof Wrong ? error.message : Bun.inspect(error);
      return false;
    }
  });
  const limit = shrinks ? { interruptAfterTimeLimit: SHRINKING_MS } : { endOnFailure: true };
  const { failed, counterexample } = await fc.check(property, { seed, numRuns: 1, unbiased: true, ...limit });
  return failed && counterexample ? { schedule: counterexample[0], why } : null;
}

/** Plays many, so many at once, and tells of each as soon as it is over. With `first` no other begins after a failure. */
export async function playAll(
  seeds: readonly number[],
  who: Who,
  together: number,
  tell: (seed: number, failure: Failure | null) => void,
  first = false,
): Promise<void> {
  const waiting = [...seeds];
  const worker = async () => {
    for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) {
      const failure = await play(seed, who);
      tell(seed, failure);
      if (failure && first) waiting.length = 0;
    }
  };
  await Promise.all(Array.from({ length: together }, worker));
}
