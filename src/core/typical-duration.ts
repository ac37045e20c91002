/** Estimates how long a client should wait, from how long recent work took. */

/** The weight of a measurement, as in TCP's estimate of the round-trip time, so that one outlier changes little. */
const WEIGHT = 1 / 8;
/** The longest time for which a client is asked to wait, in seconds. */
const MAX_RETRY_AFTER_S = 600;

/** The moving average of durations of one kind of work. */
export class TypicalDuration {
  #ms: number;

  /** @param initialMs the estimate before the first measurement */
  constructor(initialMs: number) {
    this.#ms = initialMs;
  }

  /** In ms. */
  get estimate(): number {
    return this.#ms;
  }

  add(ms: number): void {
    this.#ms += (ms - this.#ms) * WEIGHT;
  }

  /**
   * The value of a `Retry-After` header: the seconds after which `count` pieces of work should be done.
   * @param parallel how many pieces of work run at a time
   */
  retryAfter(count: number, parallel: number): number {
    const seconds = Math.ceil((this.#ms * count) / parallel / 1000);
    return Math.min(MAX_RETRY_AFTER_S, Math.max(1, seconds));
  }
}
