/** Process slots: who may start a process, first come, first served, within the configured number and memory. */
import { getLogger } from "@logtape/logtape";
import type { Config } from "../../config/schema.ts";
import { MEGABYTE } from "../../core/machine.ts";

const log = getLogger(["synthesis", "pool"]);

/** What a process is assumed to take before any process has been measured, in bytes. */
export const TYPICAL_BYTES = 250 * MEGABYTE;

/** The part of a process that is used here. */
interface MeasuredProcess {
  /** In bytes; null before the first measurement. */
  readonly memory: number | null;
}

export interface ProcessSlots {
  /** Takes a slot as soon as there is one. @param signal ends the wait */
  acquire(signal: AbortSignal): Promise<void>;
  /** Takes a slot for a prewarmed process, if no caller waits and a conversation could still start another process. */
  acquireForPrewarming(): boolean;
  release(): void;
  /** Gives out slots that have become free without a release, because processes use less memory now. */
  admit(): void;
  /** A slot can be taken now. */
  readonly areFree: boolean;
  /** How many callers wait for a slot. */
  readonly waiting: number;
  /** Whether these processes take more memory than the budget. */
  exceedsBudget(some: ReadonlySet<MeasuredProcess>): boolean;
}

/**
 * @param processes all processes that run
 * @param makeRoom called when callers wait; stops processes that can be stopped
 */
export function createProcessSlots(
  config: Config,
  processes: ReadonlySet<MeasuredProcess>,
  makeRoom: () => void,
): ProcessSlots {
  const budget = config.memoryMb * MEGABYTE;
  const queue: (() => void)[] = [];
  let taken = 0;

  function typicalMemory(): number {
    const known = [...processes].flatMap(({ memory }) => memory ?? []);
    return known.length === 0 ? TYPICAL_BYTES : known.reduce((sum, bytes) => sum + bytes, 0) / known.length;
  }

  const memoryOf = (some: ReadonlySet<MeasuredProcess>) =>
    [...some].reduce((sum, { memory }) => sum + (memory ?? typicalMemory()), 0);

  /** Whether there is a slot, and memory for `count` processes. The first process always starts: nothing works without. */
  const hasRoomFor = (count: number) =>
    taken === 0 || (taken < config.maxProcesses && memoryOf(processes) + count * typicalMemory() <= budget);

  function admit(): void {
    while (queue.length > 0 && hasRoomFor(1)) {
      taken += 1;
      queue.shift()?.();
    }
    if (queue.length > 0) makeRoom();
  }

  return {
    async acquire(signal) {
      signal.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      queue.push(resolve);
      const leaveQueue = () => {
        const at = queue.indexOf(resolve);
        // Not in the queue: the slot has just been given out, and the caller checks the signal itself.
        if (at < 0) return;
        queue.splice(at, 1);
        reject(signal.reason);
      };
      signal.addEventListener("abort", leaveQueue);
      admit();
      if (queue.length > 0) log.debug("a turn waits for a process slot", { waiting: queue.length });
      await promise.finally(() => signal.removeEventListener("abort", leaveQueue));
    },
    acquireForPrewarming() {
      if (queue.length > 0 || !hasRoomFor(2)) return false;
      taken += 1;
      return true;
    },
    release() {
      taken -= 1;
      admit();
    },
    admit,
    get areFree() {
      return queue.length === 0 && hasRoomFor(1);
    },
    get waiting() {
      return queue.length;
    },
    exceedsBudget: (some) => memoryOf(some) > budget,
  };
}
