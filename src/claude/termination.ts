/** Stops a process: asks it to exit with SIGTERM, and kills it with SIGKILL when it does not exit in time. */
import type { Clock } from "../core/clock.ts";

export class Termination {
  readonly #signal: (signal: "SIGTERM" | "SIGKILL") => void;
  readonly #clock: Clock;
  #cancelKill: (() => void) | null = null;

  /** @param signal sends a signal to the process */
  constructor(signal: (signal: "SIGTERM" | "SIGKILL") => void, clock: Clock) {
    this.#signal = signal;
    this.#clock = clock;
  }

  get hasBegun(): boolean {
    return this.#cancelKill !== null;
  }

  /** @param graceMs time that the process has to exit */
  begin(graceMs: number): void {
    this.#signal("SIGTERM");
    this.killAfter(graceMs);
  }

  /** Replaces the remaining time by `ms`. */
  killAfter(ms: number): void {
    this.#cancelKill?.();
    this.#cancelKill = this.#clock.after(ms, () => this.#signal("SIGKILL"));
  }

  /** The process has exited. */
  end(): void {
    this.#cancelKill?.();
  }
}
