/** Runs operations at full speed or at a rate, and measures them and the CPU time of Postgres. */
import { readFileSync } from "node:fs";
import { descendants } from "../support/processes.ts";

export interface Measured {
  readonly perSecond: number;
  /** In ms. */
  readonly p50: number;
  readonly p99: number;
  /** CPU time of Postgres by time, in cores. */
  readonly postgres: number;
}

/** Of Linux's `/proc/<pid>/stat`, in seconds. */
const TICKS_PER_SECOND = 100;

/** The CPU time of a process and of all its children, also of those that have ended, in seconds (Linux only). */
function cpuSeconds(pid: number): number {
  const fields = (one: number) =>
    readFileSync(`/proc/${one}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ")
      .map(Number);
  const own = (one: number) => (fields(one)[11] ?? 0) + (fields(one)[12] ?? 0);
  const ended = (fields(pid)[13] ?? 0) + (fields(pid)[14] ?? 0);
  return [pid, ...descendants(pid)].reduce((sum, one) => sum + own(one), ended) / TICKS_PER_SECOND;
}

/** Repeats an operation, several at the same time, for this long. @param operation is given numbers from 0 */
export function atFullSpeed(
  pid: number,
  { seconds, atOnce }: { readonly seconds: number; readonly atOnce: number },
  operation: (number: number) => Promise<void>,
): Promise<Measured> {
  return measure(pid, async (run) => {
    const until = performance.now() + seconds * 1_000;
    let number = 0;
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        while (performance.now() < until) {
          const next = number;
          number += 1;
          await run(() => operation(next));
        }
      }),
    );
  });
}

/** More operations are not started at the same time: Postgres then falls behind, which the measured rate shows. */
const MAX_RUNNING = 64;

/** Starts operations at their rates for this long. @param rates the operations, with how many of each a second */
export function atRates(
  pid: number,
  seconds: number,
  rates: readonly { readonly perSecond: number; readonly operation: (number: number) => Promise<void> }[],
): Promise<Measured> {
  return measure(pid, async (run) => {
    const from = performance.now();
    const started = rates.map(() => 0);
    const running = new Set<Promise<void>>();
    let failure: unknown = null;
    for (let passed = 0; passed < seconds; passed = (performance.now() - from) / 1_000) {
      for (const [at, { perSecond, operation }] of rates.entries()) {
        for (let number = started[at] ?? 0; number < passed * perSecond && running.size < MAX_RUNNING; number += 1) {
          const one = run(() => operation(number))
            .catch((error) => {
              failure ??= error;
            })
            .finally(() => running.delete(one));
          running.add(one);
          started[at] = number + 1;
        }
      }
      if (failure !== null) throw failure;
      await Bun.sleep(5);
    }
    await Promise.all(running);
  });
}

async function measure(
  pid: number,
  work: (run: (operation: () => Promise<void>) => Promise<void>) => Promise<void>,
): Promise<Measured> {
  const times: number[] = [];
  const [from, cpuBefore] = [performance.now(), cpuSeconds(pid)];
  await work(async (operation) => {
    const at = performance.now();
    await operation();
    times.push(performance.now() - at);
  });
  const seconds = (performance.now() - from) / 1_000;
  times.sort((one, other) => one - other);
  const quantile = (part: number) => times[Math.min(times.length - 1, Math.floor(times.length * part))] ?? 0;
  return {
    perSecond: times.length / seconds,
    p50: quantile(0.5),
    p99: quantile(0.99),
    postgres: (cpuSeconds(pid) - cpuBefore) / seconds,
  };
}
