/**
 * Measures the memory of processes while they work and shortly after. A measurement costs some milliseconds per process,
 * which a server at rest must not spend.
 */
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../core/clock.ts";
import type { AgentProcess } from "../agent-process.ts";
import type { measureTrees } from "./memory.ts";

const log = getLogger(["synthesis", "pool"]);

/** Between two measurements of a process that works, in ms. */
export const MEASURE_MS = 5_000;
/** An idle process may still grow: what it has started in the background runs on. It is measured this often, in ms. */
const IDLE_MEASURE_MS = 10 * 60_000;

type Measured = Pick<AgentProcess, "pid" | "owner" | "lastUsedAt" | "lastOutputAt" | "memory">;

export class MemoryWatch {
  readonly #measure: typeof measureTrees;
  readonly #clock: Clock;
  /** When each process was measured last. */
  readonly #measuredAt = new WeakMap<Measured, number>();

  constructor(measure: typeof measureTrees, clock: Clock) {
    this.#measure = measure;
    this.#clock = clock;
  }

  /** Measures the processes that may have changed. It never rejects: when it fails, their previous figures stay. */
  async update(processes: Iterable<Measured>): Promise<void> {
    const now = this.#clock.now();
    const due = [...processes].filter((process) => this.#isDue(process, now));
    if (due.length === 0) return;
    try {
      const trees = await this.#measure(due.map(({ pid }) => pid));
      for (const process of due) {
        process.memory = trees.get(process.pid) ?? process.memory;
        this.#measuredAt.set(process, now);
      }
    } catch (error) {
      log.warning("memory of processes could not be measured: {error}", { error });
    }
  }

  #isDue(process: Measured, now: number): boolean {
    const measuredAt = this.#measuredAt.get(process);
    if (measuredAt === undefined || process.owner.isBusy() || now - measuredAt >= IDLE_MEASURE_MS) return true;
    // Once more after its last activity, when its memory has settled.
    return Math.max(process.lastUsedAt, process.lastOutputAt) > measuredAt - MEASURE_MS;
  }
}
