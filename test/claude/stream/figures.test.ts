import { expect, test } from "bun:test";
import { reportedWindows, StreamFigures } from "../../../src/claude/stream/figures.ts";
import { parseLine, type StreamLine } from "../../../src/claude/stream/protocol.ts";

const line = (content: object) => parseLine(JSON.stringify(content)) as StreamLine;
const limits = (info: object) => reportedWindows(line({ type: "rate_limit_event", rate_limit_info: info }));

test("reads each window that Claude Code reports", () => {
  const windows = {
    five_hour: { utilization: 0.57, resetsAt: 1_795_771_815, status: "allowed" },
    seven_day: { utilization: 1.041, resetsAt: 1_796_027_415, status: "rejected" },
    odd: { utilization: "many" },
  };

  expect(limits({ status: "allowed", unifiedWindows: windows })).toEqual([
    { name: "five_hour", usedPercent: 57, resetsAt: 1_795_771_815_000 },
    { name: "seven_day", usedPercent: 104.1, resetsAt: 1_796_027_415_000 },
  ]);
});

test("reads the one window that a version without all windows reports", () => {
  const info = { status: "allowed_warning", rateLimitType: "seven_day", utilization: 0.9, resetsAt: 1_796_027_415 };

  expect(limits(info)).toEqual([{ name: "seven_day", usedPercent: 90, resetsAt: 1_796_027_415_000 }]);
});

test("reads nothing where no figures are reported", () => {
  expect(limits({ status: "rejected", rateLimitType: "five_hour", resetsAt: 1_796_027_415 })).toEqual([]);
  expect(reportedWindows(line({ type: "result", is_error: false }))).toEqual([]);
});

const usage = {
  input_tokens: 1_000,
  cache_read_input_tokens: 5_000,
  cache_creation_input_tokens: 2_000,
  output_tokens: 9,
};
const answer = (more: object = {}) =>
  line({ type: "assistant", message: { id: "m", model: "opus", content: [], usage }, ...more });
const result = (more: object = {}) =>
  line({
    type: "result",
    is_error: false,
    usage,
    total_cost_usd: 0.25,
    modelUsage: { opus: { contextWindow: 40_000 }, haiku: { contextWindow: 10_000 } },
    ...more,
  });

test("counts the context of the main conversation, the cost and the cache", () => {
  const figures = new StreamFigures();

  expect(figures.current).toBeNull();
  expect(figures.read(answer())).toBe(false);
  expect(figures.read(answer({ parent_tool_use_id: "t", message: { id: "s", model: "haiku", content: [] } }))).toBe(
    false,
  );
  expect(figures.read(result())).toBe(true);
  figures.read(answer());
  figures.read(result({ total_cost_usd: 0.5, usage: { ...usage, cache_read_input_tokens: 13_000 } }));

  expect(figures.current).toEqual({
    contextUsedPercent: 20,
    costUsd: 0.5,
    cacheHitRatio: 18_000 / 24_000,
    cacheMisses: null,
    lastCacheMissCause: null,
  });
});

test("knows no context without the size of the window, and no cache without input", () => {
  const figures = new StreamFigures();
  figures.read(answer());
  figures.read(result({ modelUsage: {}, usage: { input_tokens: 0, output_tokens: 0 } }));

  expect(figures.current).toMatchObject({ contextUsedPercent: null, cacheHitRatio: null, costUsd: 0.25 });
});
