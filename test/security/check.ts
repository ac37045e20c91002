/** Named checks, run one after the other, each with a deadline. */

/** An attack succeeded: something happened that an attacker must not be able to cause. */
export class Breach extends Error {}

export interface Check {
  readonly name: string;
  run(): Promise<void>;
}

export interface Result {
  readonly name: string;
  /** Why the check failed; null when it passed. */
  readonly why: string | null;
  readonly ms: number;
}

/** The longest time that a check may take, in ms. */
const DEADLINE_MS = 120_000;

/** @throws Breach with the message `what` when `holds` is false */
export function must(holds: boolean, what: string): void {
  if (!holds) throw new Breach(what);
}

/** Waits for a promise. @throws Breach when it takes longer than `ms` */
export async function within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  let timer: Timer | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Breach(`${what}: not after ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until `holds` returns true. @throws Breach when that takes longer than `ms` */
export async function eventually(holds: () => boolean | Promise<boolean>, ms: number, what: string): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Breach(`${what}: not after ${ms} ms`);
    await Bun.sleep(20);
  }
}

/** Runs each check and reports it as soon as it has ended. */
export async function runChecks(checks: readonly Check[], report: (result: Result) => void): Promise<Result[]> {
  const results: Result[] = [];
  for (const { name, run } of checks) {
    const began = performance.now();
    let why: string | null = null;
    try {
      await within(run(), DEADLINE_MS, "the check ends");
    } catch (error) {
      // Any other error is a bug in the suite, so its stack is shown.
      why = error instanceof Breach ? error.message : Bun.inspect(error);
    }
    const result = { name, why, ms: performance.now() - began };
    results.push(result);
    report(result);
  }
  return results;
}
