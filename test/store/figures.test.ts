import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AccountLimits } from "../../src/limits/account.ts";
import { openStore } from "../../src/store/database.ts";
import { createFiguresStore } from "../../src/store/figures.ts";
import { createSessionStore } from "../../src/store/sessions.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { session } from "./rows.ts";

const base = mkdtempSync(join(tmpdir(), "synthesis-figures-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

const FIGURES = {
  contextUsedPercent: 8,
  costUsd: 0.25,
  cacheHitRatio: 0.75,
  cacheMisses: null,
  lastCacheMissCause: null,
};

function open(file: string) {
  const { store } = openStore(join(base, file));
  return { store, figures: createFiguresStore(store), sessions: createSessionStore(store) };
}

test("the figures of the plan and of a conversation survive a restart", () => {
  const clock = new ManualClock();
  const row = session("user:me");
  const before = open("restart.db");
  before.sessions.save(row);
  const window = { name: "five_hour", usedPercent: 42.5, resetsAt: clock.wallTime() + 60_000 };
  new AccountLimits(clock, before.figures).note([window]);
  before.figures.noteSession(row.key, row.claudeSession, FIGURES);
  before.figures.flush();
  before.store.close();

  const { store, figures } = open("restart.db");

  expect(new AccountLimits(clock, figures).windows()).toEqual([{ ...window, seenAt: clock.wallTime() }]);
  expect(figures.ofSession(row.key, row.claudeSession)).toEqual(FIGURES);
  store.close();
});

test("the figures of a conversation are known before they are saved, and end with its Claude session", () => {
  const { store, figures, sessions } = open("session.db");
  const row = session("user:me");
  sessions.save(row);
  figures.noteSession(row.key, row.claudeSession, FIGURES);

  expect(figures.ofSession(row.key, row.claudeSession)).toEqual(FIGURES);
  figures.flush();
  expect(figures.ofSession(row.key, row.claudeSession)).toEqual(FIGURES);
  expect(figures.ofSession(row.key, "another")).toBeNull();
  store.close();
});

test("the figures of a deleted conversation are deleted", () => {
  const { store, figures, sessions } = open("deleted.db");
  const row = session("user:me");
  sessions.save(row);
  figures.noteSession(row.key, row.claudeSession, FIGURES);
  figures.flush();
  sessions.remove(row.key);
  expect(figures.ofSession(row.key, row.claudeSession)).toBeNull();

  // The process reports them once more while it exits.
  figures.noteSession(row.key, row.claudeSession, FIGURES);
  figures.flush();
  sessions.save(row);
  expect(figures.ofSession(row.key, row.claudeSession)).toBeNull();
  store.close();
});
