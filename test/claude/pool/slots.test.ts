import { describe, expect, test } from "bun:test";
import { createProcessSlots, TYPICAL_BYTES } from "../../../src/claude/pool/slots.ts";
import { pathsFor } from "../../../src/config/paths.ts";
import { defaults } from "../../../src/config/schema.ts";
import { MEGABYTE } from "../../../src/core/machine.ts";

const TYPICAL_MB = TYPICAL_BYTES / MEGABYTE;
const never = new AbortController().signal;

/** Slots together with the processes that run in them. */
function createSlots({ maxProcesses = 2, memoryMb = 100 * TYPICAL_MB } = {}) {
  const config = { ...defaults(pathsFor("/nowhere")), maxProcesses, memoryMb };
  const processes = new Set<{ memory: number | null }>();
  let roomRequests = 0;
  const slots = createProcessSlots(config, processes, () => {
    roomRequests += 1;
  });
  const given: string[] = [];
  return {
    slots,
    given,
    roomRequests: () => roomRequests,
    /** Starts a process in a slot. @returns the process, to give it a memory */
    start: async (memory: number | null = null) => {
      await slots.acquire(never);
      const process = { memory };
      processes.add(process);
      return process;
    },
    /** Waits for a slot, and notes under `name` when it is given. */
    wait: (name: string, signal = never) => slots.acquire(signal).then(() => void given.push(name)),
    exit: (process: { memory: number | null }) => {
      processes.delete(process);
      slots.release();
    },
  };
}

describe("a slot", () => {
  test("is given at once while fewer processes run than allowed", async () => {
    const { start, slots, roomRequests } = createSlots({ maxProcesses: 2 });
    await start();

    expect(slots.areFree).toBe(true);
    await start();
    expect(slots.areFree).toBe(false);
    expect(roomRequests()).toBe(0);
  });

  test("is given to waiting callers in the order of their calls", async () => {
    const { start, wait, exit, given, slots } = createSlots({ maxProcesses: 1 });
    let process = await start();
    const waits = [wait("first"), wait("second"), wait("third")];
    expect(slots.waiting).toBe(3);

    for (const expected of [["first"], ["first", "second"], ["first", "second", "third"]]) {
      exit(process);
      await Bun.sleep(0);
      process = { memory: null };
      expect(given).toEqual(expected);
    }
    await Promise.all(waits);
  });

  test("is not given to a caller that comes while another one waits", async () => {
    const { start, wait, slots } = createSlots({ maxProcesses: 1 });
    await start();
    void wait("first");

    expect(slots.areFree).toBe(false);
    expect(slots.acquireForPrewarming()).toBe(false);
  });

  test("asks for room while a caller waits", async () => {
    const { start, wait, roomRequests } = createSlots({ maxProcesses: 1 });
    await start();
    void wait("first");
    void wait("second");

    expect(roomRequests()).toBe(2);
  });
});

describe("a caller that stops waiting", () => {
  test("leaves the queue, and the next one gets the slot", async () => {
    const { start, wait, exit, given, slots } = createSlots({ maxProcesses: 1 });
    const process = await start();
    const abort = new AbortController();
    const first = wait("first", abort.signal);
    const second = wait("second");
    abort.abort(new Error("the client disconnected"));

    await expect(first).rejects.toThrow("the client disconnected");
    expect(slots.waiting).toBe(1);
    exit(process);
    await second;
    expect(given).toEqual(["second"]);
  });

  test("takes no slot when it has stopped before it asks", async () => {
    const { slots } = createSlots({ maxProcesses: 1 });

    await expect(slots.acquire(AbortSignal.abort(new Error("too late")))).rejects.toThrow("too late");
    expect(slots.areFree).toBe(true);
  });
});

describe("the memory budget", () => {
  test("always allows one process", async () => {
    const { start } = createSlots({ memoryMb: 1 });

    await expect(start()).resolves.toBeDefined();
  });

  test("counts a process that has not been measured as a typical one", async () => {
    const { start, slots } = createSlots({ maxProcesses: 10, memoryMb: 3 * TYPICAL_MB });
    await start();
    await start();
    expect(slots.areFree).toBe(true);
    await start();

    expect(slots.areFree).toBe(false);
  });

  test("expects the next process to take the average of those that were measured", async () => {
    const { start, slots } = createSlots({ maxProcesses: 10, memoryMb: 1_000 });
    await start(400 * MEGABYTE);
    expect(slots.areFree).toBe(true);
    await start(400 * MEGABYTE);

    expect(slots.areFree).toBe(false);
  });

  test("gives a slot when processes use less memory than before", async () => {
    const { start, wait, slots, given } = createSlots({ maxProcesses: 10, memoryMb: 1_000 });
    const process = await start(900 * MEGABYTE);
    const waiting = wait("first");
    expect(slots.waiting).toBe(1);

    process.memory = 300 * MEGABYTE;
    slots.admit();
    await waiting;
    expect(given).toEqual(["first"]);
  });

  test("is exceeded by processes that take more together", () => {
    const { slots } = createSlots({ memoryMb: 1_000 });
    const processes = [{ memory: 600 * MEGABYTE }, { memory: 600 * MEGABYTE }];

    expect(slots.exceedsBudget(new Set(processes))).toBe(true);
    expect(slots.exceedsBudget(new Set(processes.slice(1)))).toBe(false);
  });
});

describe("a slot for a prewarmed process", () => {
  test("is given only if memory for a conversation's process is left", async () => {
    const { start, slots } = createSlots({ maxProcesses: 10, memoryMb: 2.5 * TYPICAL_MB });
    await start();

    expect(slots.areFree).toBe(true);
    expect(slots.acquireForPrewarming()).toBe(false);
  });

  test("counts like any other slot", () => {
    const { slots } = createSlots({ maxProcesses: 1 });

    expect(slots.acquireForPrewarming()).toBe(true);
    expect(slots.areFree).toBe(false);
  });
});
