/** When a process was last used and when it last produced output, in ms of the monotonic clock. */
import type { Clock } from "../core/clock.ts";

export class ProcessActivity {
  readonly #clock: Clock;
  #lastUsedAt: number;
  #lastOutputAt: number;
  #openPrompts = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lastUsedAt = clock.now();
    this.#lastOutputAt = clock.now();
  }

  /** When the process last received or reported something that belongs to a conversation. */
  get lastUsedAt(): number {
    return this.#lastUsedAt;
  }

  /** When the process last produced output. The current time while a permission prompt waits for a person. */
  get lastOutputAt(): number {
    return this.#openPrompts > 0 ? this.#clock.now() : this.#lastOutputAt;
  }

  noteUse(): void {
    this.#lastUsedAt = this.#clock.now();
  }

  noteOutput(): void {
    this.#lastOutputAt = this.#clock.now();
  }

  /** Waits for the verdict on a permission prompt. */
  async duringPrompt<T>(verdict: () => Promise<T>): Promise<T> {
    this.#openPrompts += 1;
    try {
      return await verdict();
    } finally {
      this.#openPrompts -= 1;
      this.noteOutput();
    }
  }
}
