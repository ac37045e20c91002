/** How Claude is made to stop. */
import { describe, expect, test } from "bun:test";
import { receivedTurn } from "./harness.ts";

describe("a Claude that is interrupted", () => {
  test("is interrupted again while it still works", async () => {
    const { clock, process, runner, changeStatus } = await receivedTurn();
    changeStatus("busy");
    runner.interrupt(null);
    await clock.pass(1_500);
    expect(process.actions).toEqual(["interrupt", "interrupt"]);
  });

  test("is not interrupted again while its status is unknown, since at its prompt that opens a menu", async () => {
    const { clock, process, runner } = await receivedTurn();
    runner.interrupt(null);
    await clock.pass(4_500);
    expect(process.actions).toEqual(["interrupt"]);
  });

  test("is killed when it does not stop", async () => {
    const { clock, process, runner } = await receivedTurn();
    runner.interrupt(null);
    await clock.pass(6_000);
    expect(process.actions).toEqual(["interrupt", "kill"]);
  });

  test("wins when it finishes first", async () => {
    const { process, runner, row, show, stop } = await receivedTurn();
    show("hi");
    runner.interrupt(null);
    stop("hi");
    await runner.finished;
    expect(row).toMatchObject({ state: "done" });
    expect(process.actions).toEqual(["interrupt"]);
  });
});

test("the next turn starts only when an interrupt that Claude reads late can no longer stop it", async () => {
  const { clock, runner, show, stop } = await receivedTurn();
  let isIdle = false;
  void runner.idle.then(() => {
    isIdle = true;
  });
  show("hi");
  runner.interrupt(null);
  stop("hi");
  await clock.pass(499);
  expect(isIdle).toBe(false);
  await clock.pass(1);
  expect(isIdle).toBe(true);
});
