/** Runs the schedules of seeds, and shrinks one that fails. */
import fc from "fast-check";
import type { Engine } from "../../src/claude/agent-process.ts";
import { runSchedule } from "./run-schedule.ts";
import { type Schedule, schedules } from "./schedule.ts";
import { type ClaudeKind, Violation } from "./world.ts";

/** How long the search for a smaller failing schedule may take, in ms. */
const SHRINKING_MS = 120_000;

export interface Failure {
  readonly schedule: Schedule;
  readonly why: string;
}

/**
 * Runs the schedule of one seed.
 * @param who the stand-ins or the real claude
 * @param shrinks searches for the smallest schedule that still fails
 * @returns the schedule that failed and why; null when it passed
 */
export async function runSeed(seed: number, who: ClaudeKind, engine: Engine, shrinks = false): Promise<Failure | null> {
  let why = "";
  const property = fc.asyncProperty(schedules(1, who, engine), async (schedule) => {
    try {
      await runSchedule(schedule, who);
      return true;
    } catch (error) {
      // Any other error is a bug of the suite itself, and its stack trace helps.
      why = error instanceof Violation ? error.message : Bun.inspect(error);
      return false;
    }
  });
  const limit = shrinks ? { interruptAfterTimeLimit: SHRINKING_MS } : { endOnFailure: true };
  const { failed, counterexample } = await fc.check(property, { seed, numRuns: 1, unbiased: true, ...limit });
  return failed && counterexample ? { schedule: counterexample[0], why } : null;
}

/**
 * Runs many seeds.
 * @param together how many run at the same time
 * @param report called with the result of each seed
 * @param first starts no further seed after a failure
 */
export async function runSeeds(
  seeds: readonly number[],
  who: ClaudeKind,
  engine: Engine,
  together: number,
  report: (seed: number, failure: Failure | null) => void,
  first = false,
): Promise<void> {
  const waiting = [...seeds];
  const worker = async () => {
    for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) {
      const failure = await runSeed(seed, who, engine);
      report(seed, failure);
      if (failure && first) waiting.length = 0;
    }
  };
  await Promise.all(Array.from({ length: together }, worker));
}
