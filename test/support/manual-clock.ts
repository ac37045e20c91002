/** A clock that stands still until a test moves it. Timers run while it moves, in the order in which they are due. */
import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../src/core/clock.ts";

interface PendingTimer {
  readonly dueAt: number;
  readonly run: () => void;
}

export class ManualClock implements Clock {
  #now = 1_000;
  #wallOffset = Date.parse("2026-01-01T00:00:00Z");
  readonly #timers = new Set<PendingTimer>();

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return this.#now + this.#wallOffset;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { dueAt: this.#now + ms, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** How many timers are running. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Sets the wall clock. No time passes. @param ms negative for back */
  setWallTime(ms: number): void {
    this.#wallOffset += ms;
  }

  /** Lets `ms` pass, and after each timer everything that is ready to run. */
  async pass(ms: number): Promise<void> {
    // Work that is already under way may set timers.
    await setImmediate();
    const end = this.#now + ms;
    for (let next = this.#nextUntil(end); next; next = this.#nextUntil(end)) {
      this.#timers.delete(next);
      this.#now = next.dueAt;
      next.run();
      await setImmediate();
    }
    this.#now = end;
    await setImmediate();
  }

  #nextUntil(end: number): PendingTimer | undefined {
    return [...this.#timers].filter(({ dueAt }) => dueAt <= end).sort((one, other) => one.dueAt - other.dueAt)[0];
  }
}
