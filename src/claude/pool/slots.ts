/** Who may start a claude: first come, first served, as long as there are places, and memory for one more. */
import { getLogger } from "@logtape/logtape";
import type { Config } from "../../config/schema.ts";
import { MEGABYTE } from "../../core/machine.ts";

const log = getLogger(["synthesis", "pool"]);

/** What a claude takes that has not been measured, if none has, in bytes. */
export const TYPICAL_BYTES = 250 * MEGABYTE;

/** A claude, as far as it matters here. */
interface MeasuredProcess {
  /** In bytes; null before it is measured. */
  readonly memory: number | null;
}

export interface ProcessSlots {
  /** Takes a place as soon as there is one. @param signal ends the wait */
  acquire(signal: AbortSignal): Promise<void>;
  /** Takes a place for nobody in particular: only when nobody waits, and memory for one more is left. */
  acquireForSpare(): boolean;
  /** Gives a place back. */
  release(): void;
  /** Looks again whether those who wait can have a place: memory may have become free. */
  admit(): void;
  /** Whether a place can be taken now. */
  readonly areFree: boolean;
  readonly waiting: number;
  /** Whether these take more memory than all may. */
  exceedsBudget(some: ReadonlySet<MeasuredProcess>): boolean;
}

/**
 * @param tenants all claudes there are
 * @param makeRoom called when somebody waits: ends what can be ended
 */
export function createProcessSlots(
  config: Config,
  tenants: ReadonlySet<MeasuredProcess>,
  makeRoom: () => void,
): ProcessSlots {
  const budget = config.memoryMb * MEGABYTE;
  const queue: (() => void)[] = [];
  let taken = 0;

  function typicalMemory(): number {
    const known = [...tenants].flatMap(({ memory }) => memory ?? []);
    return known.length === 0 ? TYPICAL_BYTES : known.reduce((sum, bytes) => sum + bytes, 0) / known.length;
  }

  const memoryOf = (some: ReadonlySet<MeasuredProcess>) =>
    [...some].reduce((sum, { memory }) => sum + (memory ?? typicalMemory()), 0);

  /** Whether there is a place, and memory for so many. The first always may: without one nothing works. */
  const has = (count: number) =>
    taken === 0 || (taken < config.maxProcesses && memoryOf(tenants) + count * typicalMemory() <= budget);

  function admit(): void {
    while (queue.length > 0 && has(1)) {
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
      const leave = () => {
        const at = queue.indexOf(resolve);
        // Not there any more: the place has just been given, and the caller will see the signal.
        if (at < 0) return;
        queue.splice(at, 1);
        reject(signal.reason);
      };
      signal.addEventListener("abort", leave);
      admit();
      if (queue.length > 0) log.debug("a turn waits for a place", { waiting: queue.length });
      await promise.finally(() => signal.removeEventListener("abort", leave));
    },
    acquireForSpare() {
      if (queue.length > 0 || !has(2)) return false;
      taken += 1;
      return true;
    },
    release() {
      taken -= 1;
      admit();
    },
    admit,
    get areFree() {
      return queue.length === 0 && has(1);
    },
    get waiting() {
      return queue.length;
    },
    exceedsBudget: (some) => memoryOf(some) > budget,
  };
}
