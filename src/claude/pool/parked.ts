/**
 * Processes whose turns wait for results of the client's tools. Many clients never send them, and would keep all others
 * waiting. So a caller that waits for a slot gets that of a parked process: of an unnamed chat as soon as a quick tool
 * would have returned, since its next request contains everything; of a conversation after a while.
 */
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../core/clock.ts";
import type { AgentProcess } from "../agent-process.ts";

const log = getLogger(["synthesis", "pool"]);

/** How long a conversation may be parked before another one gets its slot, in ms. */
const PARKED_MS = 60_000;
/**
 * The same for an unnamed chat. Most tools return sooner. Without this time, every round of every chat would start a
 * process as soon as one more chat than there are slots calls tools.
 */
const UNNAMED_PARKED_MS = 1_000;
/** How long a released process may take to become idle, in ms. */
const RELEASE_MS = 10_000;

type ParkedProcess = Pick<AgentProcess, "owner" | "spec" | "pid" | "state">;

/** A parked process, and for how long it has been parked, in ms. */
interface Parked {
  readonly process: ParkedProcess;
  readonly ms: number;
}

/** Whether the process works for a chat that names no conversation. */
const isUnnamed = ({ spec }: Pick<AgentProcess, "spec">): boolean => spec.isUnnamed === true;

export class ParkedProcesses {
  readonly #processes: ReadonlySet<ParkedProcess>;
  readonly #clock: Clock;
  readonly #onReleasable: () => void;
  /** Processes that were released and are not idle yet, with the time of the release. */
  readonly #released = new Map<ParkedProcess, number>();
  #cancelTimer = () => {};

  /**
   * @param processes all processes that run
   * @param onReleasable called when a process could be released that could not be before
   */
  constructor(processes: ReadonlySet<ParkedProcess>, clock: Clock, onReleasable: () => void) {
    this.#processes = processes;
    this.#clock = clock;
    this.#onReleasable = onReleasable;
  }

  /** Ends the turns of so many processes, if there are as many. Those that were released before count. */
  release(count: number): void {
    this.#cancelTimer();
    for (const [process, at] of this.#released) {
      const isDone = process.state !== "ready" || !process.owner.isBusy() || this.#clock.now() - at > RELEASE_MS;
      if (isDone) this.#released.delete(process);
    }
    const missing = count - this.#released.size;
    if (missing <= 0) return;
    const chosen = this.#releasable.slice(0, missing);
    for (const process of chosen) {
      log.info("parked turn ended to make room", { session: process.spec.sessionKey, pid: process.pid });
      this.#released.set(process, this.#clock.now());
      process.owner.releaseParked();
    }
    if (chosen.length < missing) this.#awaitNext();
  }

  /** Whether a process can be released, now or within a second. */
  get areReleasable(): boolean {
    return this.#parked.some(({ process, ms }) => isUnnamed(process) || ms >= PARKED_MS);
  }

  close(): void {
    this.#cancelTimer();
  }

  /** Unnamed chats first, and of each kind the one that was parked first. */
  get #releasable(): readonly ParkedProcess[] {
    return this.#parked
      .filter((one) => remainingMs(one) <= 0)
      .sort((one, other) => Number(isUnnamed(other.process)) - Number(isUnnamed(one.process)) || other.ms - one.ms)
      .map(({ process }) => process);
  }

  /** The parked processes, and for how long they have been parked. */
  get #parked(): readonly Parked[] {
    return [...this.#processes].flatMap((process) => {
      const since = process.state === "ready" && !this.#released.has(process) ? process.owner.parkedSince() : null;
      return since === null ? [] : [{ process, ms: this.#clock.now() - since }];
    });
  }

  /** Calls back when the next process can be released. */
  #awaitNext(): void {
    const next = Math.min(...this.#parked.map(remainingMs));
    if (Number.isFinite(next)) this.#cancelTimer = this.#clock.after(next, this.#onReleasable);
  }
}

/** How long the process may still be parked, in ms; 0 or less when it can be released. */
const remainingMs = ({ process, ms }: Parked): number => (isUnnamed(process) ? UNNAMED_PARKED_MS : PARKED_MS) - ms;
