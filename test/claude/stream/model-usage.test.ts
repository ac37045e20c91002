import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readEarlierUsage, TurnFigures } from "../../../src/claude/stream/model-usage.ts";
import type { StreamLine } from "../../../src/claude/stream/protocol.ts";

const result = (message: string | null, output: number, costUSD: number): StreamLine => ({
  type: "result",
  is_error: false,
  user_message_uuids: message === null ? [] : [message],
  modelUsage: {
    opus: {
      inputTokens: 10 * output,
      cacheReadInputTokens: 0,
      cacheCreationInputTokens: 0,
      outputTokens: output,
      costUSD,
    },
  },
});
const opus = (output: number, cost: number) => [
  { model: "opus", calls: 0, input: 10 * output, cacheRead: 0, cacheWrite: 0, output, cost },
];

test("a turn has used what the process has used since the turn before", () => {
  const figures = new TurnFigures(false);
  expect(figures.of("m1")).toBeNull();
  figures.read(result("m1", 5, 0.5));
  expect(figures.of("m1")).toEqual(opus(5, 0.5));
  figures.read(result("m2", 7, 0.75));
  expect([figures.of("m1"), figures.of("m2")]).toEqual([null, opus(2, 0.25)]);
  figures.read(result("m2", 9, 1));
  expect(figures.of("m2")).toEqual(opus(4, 0.5));
});

test("the first turn of a resumed session has used what the session has used since its last process", () => {
  const figures = new TurnFigures(true);
  figures.begin(opus(5, 0.5));
  figures.read(result("m1", 7, 0.75));
  expect(figures.of("m1")).toEqual(opus(2, 0.25));
  // This comes too late, since the process may have recorded its own turn.
  figures.begin(opus(7, 0.75));
  figures.read(result("m2", 8, 1));
  expect(figures.of("m2")).toEqual(opus(1, 0.25));
});

test("a background task counts for the next turn", () => {
  const figures = new TurnFigures(false);
  figures.read(result("m1", 5, 0.5));
  figures.read(result(null, 6, 0.75));
  expect(figures.of("m1")).toEqual(opus(5, 0.5));
  figures.read(result("m2", 7, 1));
  expect(figures.of("m2")).toEqual(opus(2, 0.5));
});

test("the figures of the first turn of a resumed session are unknown", () => {
  const figures = new TurnFigures(true);
  figures.read(result("m1", 5, 0.5));
  expect(figures.of("m1")).toBeNull();
  figures.read(result("m2", 7, 0.75));
  expect(figures.of("m2")).toEqual(opus(2, 0.25));
});

test("a process that does not count on from the record has unknown figures", () => {
  const figures = new TurnFigures(true);
  figures.begin(opus(5, 0.5));
  figures.read(result("m1", 2, 0.25));
  expect(figures.of("m1")).toBeNull();
});

test("what a session has used is in the newest row that says so", async () => {
  const home = mkdtempSync(join(tmpdir(), "synthesis-usage-"));
  const folder = join(home, ".claude/projects/p");
  mkdirSync(folder, { recursive: true });
  const record = (session: string, ...rows: object[]) =>
    writeFileSync(join(folder, `${session}.jsonl`), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const row = (output: number, cost: number) => ({ ...result(null, output, cost), type: "cost-state" });
  record("s", row(5, 0.5), { type: "user", message: { content: "hi" } }, row(7, 0.75), { type: "mode" });
  record("none", { type: "user", message: { content: "hi" } });
  // Further from the end of the file than one read reaches.
  const long = { type: "user", message: { content: "x".repeat(1_000_000) } };
  record("killed since", row(5, 0.5), row(6, 0.5), ...Array.from({ length: 20 }, () => long));
  record("broken", { type: "cost-state", modelUsage: { opus: 7 } });
  const read = (session: string) => readEarlierUsage(session, { HOME: home });

  const sessions = ["s", "killed since", "none", "broken", "unknown"];
  expect(await Promise.all(sessions.map(read))).toEqual([opus(7, 0.75), opus(6, 0.5), null, null, null]);
  rmSync(home, { recursive: true });
});
