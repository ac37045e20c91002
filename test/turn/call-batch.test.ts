/** Which tool calls of a model message the client gets together, and how long the missing ones are waited for. */
import { expect, test } from "bun:test";
import { collectCallBatch } from "../../src/turn/call-batch.ts";
import { newTurn, type TurnState } from "../../src/turn/turn-state.ts";
import { ManualClock } from "../support/manual-clock.ts";

const running = (calls: readonly string[], announced: readonly string[] = []): TurnState => ({
  ...newTurn("m", "live"),
  phase: "running",
  calls: calls.map((id) => ({ id, name: "t", arguments: "{}", isWithClient: false })),
  announced,
});

interface Batch {
  /** Calls that a hook has announced. */
  readonly announced?: readonly string[];
  /** Calls in the recorded message; null while it is not recorded. */
  readonly together: readonly string[] | null;
  readonly secondAfterMs: number;
}

/** Collects a batch whose first call is there at once and whose second call arrives later. @returns the calls in it */
async function collect({ announced = [], together, secondAfterMs }: Batch) {
  const clock = new ManualClock();
  let state = running(["a"], announced);
  let arrived = Promise.withResolvers<void>();
  clock.after(secondAfterMs, () => {
    state = running(["a", "b"]);
    arrived.resolve();
  });
  const next = () => {
    arrived = Promise.withResolvers();
    return arrived.promise;
  };
  const batch = collectCallBatch(() => state, next, together, clock).then(() => state.calls.map(({ id }) => id));
  await clock.pass(60_000);
  return batch;
}

test("waits for a recorded call that a busy machine delays", async () => {
  expect(await collect({ together: ["a", "b"], secondAfterMs: 800 })).toEqual(["a", "b"]);
});

test("waits for an announced call that a busy machine delays", async () => {
  expect(await collect({ announced: ["b"], together: null, secondAfterMs: 800 })).toEqual(["a", "b"]);
});

test("ends soon when no call is known to be missing", async () => {
  expect(await collect({ together: null, secondAfterMs: 1_500 })).toEqual(["a"]);
});

test("ends without a recorded call that never arrives", async () => {
  expect(await collect({ together: ["a", "b"], secondAfterMs: 50_000 })).toEqual(["a"]);
});

test("ends at once when all recorded calls have arrived", async () => {
  expect(await collect({ together: ["a"], secondAfterMs: 1 })).toEqual(["a"]);
});
