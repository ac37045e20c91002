/** The thread that checks JSON: it never blocks the server, and never outlives its use. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { SchemaChecker } from "../../src/json-schema/checker.ts";
import { ManualClock } from "../support/manual-clock.ts";

let clock: ManualClock;
let checker: SchemaChecker;
beforeEach(() => {
  clock = new ManualClock();
  checker = new SchemaChecker(clock);
});
afterEach(() => checker.close());

const name = { properties: { name: { type: "string" } } };
const slow = { properties: { a: { pattern: "^(a+)+$" }, b: { type: "number" } } };
const slowValue = JSON.stringify({ a: `${"a".repeat(60)}!`, b: "text" });

test("names what is wrong", async () => {
  expect(await checker.check(name, '{"name": 1}')).toEqual({
    problem: expect.stringContaining("/name must be string"),
    leftOut: [],
  });
  expect(await checker.check(name, '{"name": "a"}')).toEqual({ problem: null, leftOut: [] });
});

test("a pattern that takes too long is left out, and the next check works", async () => {
  await checker.check(name, "{}");
  const checked = checker.check(slow, slowValue);
  await clock.pass(1_000);
  expect(await checked).toEqual({
    problem: expect.stringContaining("/b must be number"),
    leftOut: ["pattern at /properties/a"],
  });
  expect((await checker.check(name, '{"name": 1}')).problem).not.toBeNull();
});

test("the server does other work during a check", async () => {
  await checker.check(name, "{}");
  let hasWorked = false;
  const checked = checker.check(slow, slowValue);
  setTimeout(() => {
    hasWorked = true;
    void clock.pass(1_000);
  }, 0);
  await checked;
  expect(hasWorked).toBe(true);
});

test("a schema that refers only to itself is left out", async () => {
  expect(await checker.check({ $ref: "#" }, "{}")).toEqual({ problem: null, leftOut: ["the whole schema"] });
});

test("the thread starts with the first check, and ends when there is none for a while", async () => {
  expect(checker.isRunning).toBe(false);
  await checker.check(name, "{}");
  expect(checker.isRunning).toBe(true);
  await clock.pass(30_000);
  expect(checker.isRunning).toBe(false);
  expect((await checker.check(name, '{"name": 1}')).problem).not.toBeNull();
});

test("a closed checker ends the check that runs, and starts no other", async () => {
  const running = checker.check(slow, slowValue);
  await Bun.sleep(0);
  checker.close();
  expect((await running).leftOut).toEqual(["the whole schema"]);
  expect((await checker.check(name, "{}")).leftOut).toEqual(["the whole schema"]);
  expect(checker.isRunning).toBe(false);
});
