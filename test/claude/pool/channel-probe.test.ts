/** When a process is started only to see whether Claude Code accepts the channel, and that none stays behind. */
import { beforeEach, expect, test } from "bun:test";
import type { AgentProcess } from "../../../src/claude/agent-process.ts";
import { ChannelProbe } from "../../../src/claude/pool/channel-probe.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const HOUR_MS = 60 * 60_000;

/** A process that exits some time after it was stopped. */
class FakeProcess {
  readonly pid = 1;
  stops = 0;
  readonly #ready = Promise.withResolvers<void>();
  readonly #exited = Promise.withResolvers<void>();
  readonly ready = this.#ready.promise;
  readonly exited = this.#exited.promise;
  stop(): Promise<void> {
    this.stops += 1;
    return this.exited;
  }
  becomeReady = () => this.#ready.resolve();
  fail = () => this.#ready.reject(new Error("refused"));
  exit = () => this.#exited.resolve();
}

let clock: ManualClock;
let started: FakeProcess[];
let workspace: string | null;
let startError: Error | null;
let probe: ChannelProbe;
beforeEach(() => {
  clock = new ManualClock();
  started = [];
  workspace = "/w";
  startError = null;
  probe = new ChannelProbe({
    clock,
    workspace: () => workspace,
    start: () => {
      if (startError) throw startError;
      const process = new FakeProcess();
      started.push(process);
      return process as unknown as AgentProcess;
    },
  });
});

const newest = () => started.at(-1) as FakeProcess;

test.each(["becomeReady", "fail"] as const)("stops its process as soon as it knows: %s", async (outcome) => {
  probe.run();
  newest()[outcome]();
  await clock.pass(0);
  expect(newest().stops).toBe(1);
});

test("starts nothing when it would tell nothing new", () => {
  workspace = null;
  probe.run();
  expect(started).toEqual([]);
});

test("starts one process at a time", () => {
  probe.run();
  probe.run();
  expect(started).toHaveLength(1);
});

test("starts the next one when the channel must be looked at again", async () => {
  probe.run();
  newest().becomeReady();
  workspace = null;
  newest().exit();
  await clock.pass(0);
  workspace = "/w";
  probe.run();
  expect(started).toHaveLength(2);
});

test.each([
  ["its process has found out nothing", null],
  ["no process could be started", new Error("no program")],
])("waits for an hour when %s", async (_when, error) => {
  startError = error;
  probe.run();
  started.at(-1)?.exit();
  await clock.pass(HOUR_MS - 1);
  startError = null;
  const before = started.length;
  probe.run();
  expect(started).toHaveLength(before);
  await clock.pass(1);
  probe.run();
  expect(started).toHaveLength(before + 1);
});

test("does not compete with the start of a conversation's process", async () => {
  probe.plan();
  probe.plan();
  await clock.pass(9_999);
  expect(started).toEqual([]);
  await clock.pass(1);
  expect(started).toHaveLength(1);
});

test("makes way for a conversation's process that starts in a terminal", async () => {
  probe.run();
  probe.cancel();
  expect(newest().stops).toBe(1);
  newest().exit();
  await clock.pass(0);
  probe.plan();
  probe.cancel();
  await clock.pass(2 * HOUR_MS);
  expect(started).toHaveLength(1);
});

test("is closed when its process has exited, and starts no other", async () => {
  probe.run();
  let isClosed = false;
  const closed = probe.close().then(() => {
    isClosed = true;
  });
  await clock.pass(0);
  expect([newest().stops, isClosed]).toEqual([1, false]);
  newest().exit();
  await closed;
  probe.run();
  probe.plan();
  await clock.pass(2 * HOUR_MS);
  expect(started).toHaveLength(1);
});
