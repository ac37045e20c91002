import { expect, test } from "bun:test";
import { TurnFigures } from "../../../src/claude/stream/model-usage.ts";
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
