/** What a Claude session in a terminal has cost since its last report. */
import { expect, test } from "bun:test";
import { SessionCosts } from "../../src/conversation/session-costs.ts";

test("the cost of a new session is counted from its first report on", () => {
  const costs = new SessionCosts();
  expect([costs.note("s", 0.25, false), costs.note("s", 0.25, false), costs.note("s", 0.75, false)]).toEqual([
    0.25, 0, 0.5,
  ]);
});

test("what a session cost before it was resumed is not counted, whichever turn used it", () => {
  const costs = new SessionCosts();
  expect([costs.note("s", 2, true), costs.note("s", 2.5, true)]).toEqual([null, 0.5]);
});

test("a report that a process owed when it exited is made up for by the next process", () => {
  const costs = new SessionCosts();
  costs.note("s", 1, false);
  expect(costs.note("s", 1.5, true)).toBe(0.5);
});

test("a process that was killed before it saved its total is not counted twice", () => {
  const costs = new SessionCosts();
  costs.note("s", 1, false);
  expect([costs.note("s", 0.25, true), costs.note("s", 0.75, true)]).toEqual([0, 0.5]);
});
