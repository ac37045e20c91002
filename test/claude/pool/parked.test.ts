/** Which parked processes make room for a caller that waits. */
import { describe, expect, test } from "bun:test";
import { ParkedProcesses } from "../../../src/claude/pool/parked.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { launchSpec } from "../launch-spec.ts";

function setUp() {
  const clock = new ManualClock();
  const processes = new Set<never>();
  const released: string[] = [];
  let calls = 0;
  const parked = new ParkedProcesses(processes, clock, () => {
    calls += 1;
  });
  /** Adds a process. @param since how long ago it was parked, in ms; null when it is not */
  const add = (name: string, since: number | null, isUnnamed = false) => {
    const process = {
      pid: 1,
      state: "ready",
      spec: { ...launchSpec({ isUnnamed }), sessionKey: name },
      isBusy: true,
      parkedAt: since === null ? null : clock.now() - since,
      owner: {
        isBusy: () => process.isBusy,
        parkedSince: () => process.parkedAt,
        releaseParked: () => {
          released.push(name);
          process.parkedAt = null;
        },
      },
    };
    processes.add(process as never);
    return process;
  };
  return { clock, parked, add, released, calls: () => calls };
}

describe("a caller gets the slot of", () => {
  test("the unnamed chat that was parked first, and then of a conversation", () => {
    const { parked, add, released } = setUp();
    add("named", 90_000);
    add("new", 1_010, true);
    add("old", 1_020, true);
    parked.release(3);
    expect(released).toEqual(["old", "new", "named"]);
  });

  test("no conversation that was parked a short time ago, until it has waited long enough", async () => {
    const { clock, parked, add, released, calls } = setUp();
    add("younger", 10_000);
    add("older", 20_000);
    expect(parked.areReleasable).toBe(false);
    parked.release(1);
    expect(released).toEqual([]);
    await clock.pass(39_999);
    expect(calls()).toBe(0);
    await clock.pass(1);
    expect(calls()).toBe(1);
    expect(parked.areReleasable).toBe(true);
    parked.release(1);
    expect(released).toEqual(["older"]);
  });

  test("no unnamed chat whose tool may be about to return, but of one whose tool takes a second", async () => {
    const { clock, parked, add, released, calls } = setUp();
    add("named", 10_000);
    add("unnamed", 300, true);
    // The caller will not wait for long.
    expect(parked.areReleasable).toBe(true);
    parked.release(1);
    await clock.pass(699);
    expect([calls(), released]).toEqual([0, []]);
    await clock.pass(1);
    expect(calls()).toBe(1);
    parked.release(1);
    expect(released).toEqual(["unnamed"]);
  });

  test("no process that works or waits for a person", () => {
    const { parked, add, released } = setUp();
    add("busy", null, true);
    expect(parked.areReleasable).toBe(false);
    parked.release(1);
    expect(released).toEqual([]);
  });
});

test("a process that was released counts until it is idle", async () => {
  const { clock, parked, add, released } = setUp();
  const first = add("first", 1_100, true);
  add("second", 1_050, true);
  parked.release(1);
  parked.release(1);
  expect(released).toEqual(["first"]);
  first.isBusy = false;
  parked.release(1);
  expect(released).toEqual(["first", "second"]);
  await clock.pass(60_000);
});

test("a process that does not become idle counts for ten seconds", async () => {
  const { clock, parked, add, released } = setUp();
  add("first", 1_100, true);
  add("second", 1_050, true);
  parked.release(1);
  await clock.pass(10_001);
  parked.release(1);
  expect(released).toEqual(["first", "second"]);
});

test("nothing is called back after the end", async () => {
  const { clock, parked, add, calls } = setUp();
  add("named", 10_000);
  parked.release(1);
  parked.close();
  await clock.pass(100_000);
  expect([calls(), clock.timers]).toEqual([0, 0]);
});
