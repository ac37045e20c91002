/** Which tool calls of a model message the client gets together, and how long the missing ones are waited for. */
import { expect, test } from "bun:test";
import { systemClock } from "../../src/core/clock.ts";
import { collectCallBatch } from "../../src/turn/call-batch.ts";
import { newTurn, type TurnState } from "../../src/turn/turn-state.ts";

const running = (calls: readonly string[], announced: readonly string[] = []): TurnState => ({
  ...newTurn("m", "live"),
  phase: "running",
  calls: calls.map((id) => ({ id, name: "t", arguments: "{}", isWithClient: false })),
  announced,
});

/** Collects a batch whose first call is there at once and whose second call arrives later. @returns the calls in it */
async function collect(announced: readonly string[], together: readonly string[] | null, secondAfterMs: number) {
  let state = running(["a"], announced);
  let arrived = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    state = running(["a", "b"]);
    arrived.resolve();
  }, secondAfterMs);
  const next = () => {
    arrived = Promise.withResolvers();
    return arrived.promise;
  };
  await collectCallBatch(() => state, next, together, systemClock);
  clearTimeout(timer);
  return state.calls.map(({ id }) => id);
}

test("waits for a recorded call that a busy machine delays", async () => {
  expect(await collect([], ["a", "b"], 800)).toEqual(["a", "b"]);
});

test("waits for an announced call that a busy machine delays", async () => {
  expect(await collect(["b"], null, 800)).toEqual(["a", "b"]);
});

test("ends soon when no call is known to be missing", async () => {
  expect(await collect([], null, 1_500)).toEqual(["a"]);
});

test("ends without a recorded call that never arrives", async () => {
  expect(await collect([], ["a", "b"], 60_000)).toEqual(["a"]);
});
