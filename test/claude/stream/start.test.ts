/** How long a stream process may take to become ready. */
import { expect, test } from "bun:test";
import { setImmediate } from "node:timers/promises";
import type { StreamOptions } from "../../../src/claude/stream/options.ts";
import { StreamStart } from "../../../src/claude/stream/start.ts";
import { pathsFor } from "../../../src/config/paths.ts";
import { defaults } from "../../../src/config/schema.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { launchSpec } from "../launch-spec.ts";

const READY_MS = 1_000;

/** A process that has been initialized, and is being given what was said before. */
async function tellingPast() {
  const clock = new ManualClock();
  let failures = 0;
  const past = Promise.withResolvers<void>();
  const answer = { content: {}, refusal: null };
  const options = { checkSettings: async () => [], initialize: async () => answer, change: async () => true };
  const start = new StreamStart({
    options: options as unknown as StreamOptions,
    config: { ...defaults(pathsFor("/nowhere")), readyTimeoutMs: READY_MS },
    env: {},
    clock,
    spec: () => launchSpec({ choice: { workspace: "/nowhere" } }),
    isSpare: () => false,
    notes: [],
    writePast: () => past.promise,
    onReady: () => {},
    onFailure: () => {
      failures += 1;
    },
  });
  void start.begin();
  await setImmediate();
  return { start, clock, past, failures: () => failures };
}

test("a long past may take longer than the timeout as long as Claude Code reads it", async () => {
  const { start, clock, past, failures } = await tellingPast();
  for (let message = 0; message < 3; message += 1) {
    await clock.pass(READY_MS - 1);
    start.noteProgress();
  }
  past.resolve();
  await start.ready;
  start.noteProgress();
  expect([failures(), clock.timers]).toEqual([0, 0]);
});

test("a process that stops reading its past fails after the timeout", async () => {
  const { start, clock, failures } = await tellingPast();
  start.noteProgress();
  await clock.pass(READY_MS);
  expect(failures()).toBe(1);
  expect(start.ready).rejects.toThrow("not ready after 1000 ms");
});
