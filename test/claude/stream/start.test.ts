/** When a stream process becomes ready, and how long it may take. */
import { expect, test } from "bun:test";
import { setImmediate } from "node:timers/promises";
import type { ControlAnswer } from "../../../src/claude/stream/control-requests.ts";
import type { StreamOptions } from "../../../src/claude/stream/options.ts";
import { StreamStart } from "../../../src/claude/stream/start.ts";
import { pathsFor } from "../../../src/config/paths.ts";
import { defaults } from "../../../src/config/schema.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { launchSpec } from "../launch-spec.ts";

const READY_MS = 1_000;
const TAKEN: ControlAnswer = { content: {}, refusal: null };

type Deps = ConstructorParameters<typeof StreamStart>[0];

/** The start of a process that a conversation owns, unless it is a spare, and that takes its prompt at once. */
function newStart({ initialize = async () => TAKEN, ...more }: Partial<Deps> & Partial<StreamOptions> = {}) {
  const clock = new ManualClock();
  const calls: string[] = [];
  const options = { checkSettings: async () => [], initialize, change: async () => true, warmUp: () => {} };
  const start = new StreamStart({
    options: options as unknown as StreamOptions,
    config: { ...defaults(pathsFor("/nowhere")), readyTimeoutMs: READY_MS },
    env: {},
    clock,
    spec: () => launchSpec({ choice: { workspace: "/nowhere" } }),
    isSpare: () => false,
    notes: [],
    writePast: async () => {},
    onInitialized: () => void calls.push("initialized"),
    onReady: () => void calls.push("ready"),
    onFailure: () => void calls.push("failed"),
    onUnprepared: () => void calls.push("unprepared"),
    ...more,
  });
  return { start, clock, calls };
}

/** A process that is being given what was said before. */
async function tellingPast() {
  const past = Promise.withResolvers<void>();
  const { start, clock, calls } = newStart({ writePast: () => past.promise });
  void start.begin();
  await setImmediate();
  return { start, clock, past, failures: () => calls.filter((call) => call === "failed").length };
}

test.each([
  ["takes its prompt", null, "initialized"],
  ["refuses it", "no", "unprepared"],
])("a spare is ready for the first message before Claude Code %s", async (_what, refusal, then) => {
  const { promise, resolve } = Promise.withResolvers<ControlAnswer>();
  let isSpare = true;
  const { start, calls } = newStart({ isSpare: () => isSpare, initialize: () => promise });
  await start.begin();
  isSpare = false;
  start.adopt();
  await start.ready;
  expect(calls).toEqual(["ready", "ready"]);
  resolve({ content: {}, refusal });
  await setImmediate();
  expect(calls).toEqual(["ready", "ready", then]);
});

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
