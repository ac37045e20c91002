/**
 * Time as an argument: a test hands in a clock that it moves by hand, the program uses `systemClock`.
 */

export interface Clock {
  /**
   * Milliseconds on the monotonic clock. Measure durations with it: setting the machine's clock does not change it,
   * and it stands still while a laptop sleeps.
   */
  now(): number;
  /** Unix time in ms. Use it for times that are stored, logged or compared with another program's. */
  wallTime(): number;
  /** Calls `run` once after `ms`. @returns cancels the timer; calling it later does nothing */
  after(ms: number, run: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};
