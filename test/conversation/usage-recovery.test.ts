/** What the turns of a killed server used is read from Claude Code's transcripts at the next start. */
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startUsageRecovery } from "../../src/conversation/usage-recovery.ts";
import type { ModelUsage } from "../../src/core/usage.ts";

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

/** The turns of a killed server, and what is noted about them, in order. */
function turnsOf(...open: { id: string; claudeSession: string }[]) {
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
  const { turns, noted, all } = turnsOf({ id: "t0", claudeSession: "none" }, { id: "t1", claudeSession: "s1" });

  startUsageRecovery(turns, env);
  await all;

  expect(noted).toEqual([
    ["t0", null],
    ["t1", [{ model: "opus", calls: 2, input: 20, cacheRead: 6, cacheWrite: 0, output: 12, cost: null }]],
  ]);
});

test("notes nothing after it was stopped, so the next start reads it", async () => {
  recordSession("s2", "t2");
  const { turns, noted } = turnsOf({ id: "t2", claudeSession: "s2" });

  startUsageRecovery(turns, env)();
  const next = turnsOf({ id: "t2", claudeSession: "s2" });
  startUsageRecovery(next.turns, env);
  await next.all;

  expect([noted, next.noted.length]).toEqual([[], 1]);
});
