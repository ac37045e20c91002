/** What the turns of a killed server used is read from Claude Code's transcripts at the next start. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startUsageRecovery } from "../../src/conversation/usage-recovery.ts";
import type { ModelUsage } from "../../src/core/usage.ts";
import type { OpenTurn } from "../../src/store/turns.ts";
import { ManualClock } from "../support/manual-clock.ts";

const home = mkdtempSync(join(tmpdir(), "synthesis-recovery-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));
const env = { HOME: home };

/** A session whose only turn had two model calls, the second of them recorded in two rows. */
function recordSession(claudeSession: string, turn: string): void {
  const folder = join(home, ".claude/projects/p");
  mkdirSync(folder, { recursive: true });
  const usage = (output_tokens: number) => ({ input_tokens: 10, cache_read_input_tokens: 3, output_tokens });
  const call = (id: string, output: number) => ({
    type: "assistant",
    message: { id, model: "opus", content: [{ type: "text", text: "hm" }], usage: usage(output) },
  });
  const prompt = `<channel source="plugin:synthesis:chat" message_id="${turn}">\nhi\n</channel>`;
  const rows = [
    { type: "user", message: { role: "user", content: prompt } },
    call("m1", 5),
    call("m2", 1),
    call("m2", 7),
  ];
  writeFileSync(join(folder, `${claudeSession}.jsonl`), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
}

const openTurn = (id: string, claudeSession: string, ...modelUsage: ModelUsage[]): OpenTurn => ({
  id,
  claudeSession,
  modelUsage,
});

/** The turns of a killed server, and what is noted about them, in order. */
function turnsOf(...open: OpenTurn[]) {
  const noted: (readonly [id: string, total: readonly ModelUsage[] | null])[] = [];
  const all = Promise.withResolvers<void>();
  const note = (id: string, total: readonly ModelUsage[] | null) => {
    noted.push([id, total]);
    if (noted.length === open.length) all.resolve();
  };
  const turns = {
    openUsage: () => open,
    setUsage: (id: string, total: readonly ModelUsage[], isFinal: boolean) => note(id, isFinal ? total : null),
    closeUsage: (id: string) => note(id, null),
  };
  return { turns, noted, all: all.promise };
}

test("counts the calls in the transcript, and nothing for a turn without one", async () => {
  recordSession("s1", "t1");
  const { turns, noted, all } = turnsOf(openTurn("t0", "none"), openTurn("t1", "s1"));

  const stop = startUsageRecovery(turns, env);
  await all;
  stop();

  expect(noted).toEqual([
    ["t0", null],
    ["t1", [{ model: "opus", calls: 2, input: 20, cacheRead: 6, cacheWrite: 0, output: 12, cost: null }]],
  ]);
});

test("notes nothing after it was stopped, so the next start reads it", async () => {
  recordSession("s2", "t2");
  const { turns, noted } = turnsOf(openTurn("t2", "s2"));

  startUsageRecovery(turns, env)();
  const next = turnsOf(openTurn("t2", "s2"));
  const stop = startUsageRecovery(next.turns, env);
  await next.all;
  stop();

  expect([noted, next.noted.length]).toEqual([[], 1]);
});

test("keeps what is known of a turn beside its transcript: its cost, and other models", async () => {
  recordSession("s3", "t3");
  const counted = { model: "opus", calls: 1, input: 50, cacheRead: 3, cacheWrite: 4, output: 5, cost: 0.5 };
  const other = { model: "haiku", calls: 0, input: 7, cacheRead: 0, cacheWrite: 0, output: 7, cost: 0.1 };
  const { turns, noted, all } = turnsOf(openTurn("t3", "s3", counted, other));

  const stop = startUsageRecovery(turns, env);
  await all;
  stop();

  expect(noted).toEqual([
    ["t3", [{ ...counted, calls: 2, input: 20, cacheRead: 6, cacheWrite: 0, output: 12 }, other]],
  ]);
});

test("counts a turn of this server a minute after its end, when everything of it is recorded", async () => {
  recordSession("s4", "t4");
  const clock = new ManualClock();
  const endedAt = clock.wallTime() + 30_000;
  const { turns, noted, all } = turnsOf(openTurn("t4", "s4"));
  const openUsage = (until: number) => (endedAt <= until && until < Number.POSITIVE_INFINITY ? turns.openUsage() : []);

  const stop = startUsageRecovery({ ...turns, openUsage }, env, clock);
  await clock.pass(89_999);
  expect(noted).toEqual([]);
  await clock.pass(60_000);
  await all;
  expect(noted).toMatchObject([["t4", [{ calls: 2 }]]]);

  stop();
  await clock.pass(0);
  expect(clock.timers).toBe(0);
});
