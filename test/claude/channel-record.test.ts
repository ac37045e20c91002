/** How long it is remembered whether Claude Code accepts our channel. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChannelRecord } from "../../src/claude/channel-record.ts";

const HOUR_MS = 60 * 60_000;

let base: string;
let now: number;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "synthesis-test-"));
  now = 1_000_000_000_000;
  writeFileSync(join(base, "claude"), "old", { mode: 0o755 });
});
afterEach(() => rmSync(base, { recursive: true }));

/** The record as a server that starts now reads it. */
const open = (env: Record<string, string> = {}) =>
  new ChannelRecord({
    file: join(base, "channel.json"),
    claudeBin: join(base, "claude"),
    env: { HOME: base, ...env },
    clock: { wallTime: () => now },
  });

test("knows nothing at first", () => {
  expect(open()).toMatchObject({ refusal: null, isOutdated: true });
});

test("remembers a refusal across restarts, and looks at it again after an hour", () => {
  open().note("it said no");
  now += HOUR_MS - 1;
  expect(open()).toMatchObject({ refusal: "it said no", isOutdated: false });
  now += 1;
  const record = open();
  expect(record).toMatchObject({ refusal: "it said no", isOutdated: true });
  record.note("it said no again");
  expect(record).toMatchObject({ refusal: "it said no again", isOutdated: false });
});

test("looks at a refusal again when the clock was set back", () => {
  open().note("it said no");
  now -= 1;
  expect(open().isOutdated).toBe(true);
});

test("remembers an accepted channel for as long as Claude Code stays the same", () => {
  open().note("it said no");
  open().note(null);
  now += 1_000 * HOUR_MS;
  expect(open()).toMatchObject({ refusal: null, isOutdated: false });
});

test.each<[what: string, change: () => Record<string, string>]>([
  [
    "an update of Claude Code",
    () => {
      writeFileSync(join(base, "claude"), "new and larger");
      return {};
    },
  ],
  ["a change of the login", () => ({ CLAUDE_CONFIG_DIR: join(base, "other") })],
  [
    "the removal of Claude Code",
    () => {
      rmSync(join(base, "claude"));
      return {};
    },
  ],
])("looks at it again after %s, and uses what it knows until then", (_what, change) => {
  open().note("it said no");
  expect(open(change())).toMatchObject({ refusal: "it said no", isOutdated: true });
});

test.each(["{", "[]", '{"claude":1}'])("knows nothing when its file is %s", (content) => {
  writeFileSync(join(base, "channel.json"), content);
  expect(open()).toMatchObject({ refusal: null, isOutdated: true });
});

test("remembers a refusal for its own server when the file cannot be written", () => {
  mkdirSync(join(base, "channel.json"));
  const record = open();
  record.note("it said no");
  expect(record).toMatchObject({ refusal: "it said no", isOutdated: false });
});
