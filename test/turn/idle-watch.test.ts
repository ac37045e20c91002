/** Turns that end because Claude is idle, with or without a `Stop` hook. */
import { describe, expect, test } from "bun:test";
import { receivedTurn, startTurn } from "./harness.ts";

describe("a turn whose `Stop` hook is lost", () => {
  test("ends when Claude has been idle for three seconds", async () => {
    const { runner, clock, client, show, changeStatus, settle } = await receivedTurn();
    show("hi");
    await clock.pass(100);
    changeStatus("idle");
    await clock.pass(2_999);
    expect(client.received).toBe("hi");
    await clock.pass(1);
    await runner.finished;
    await settle();
    expect(client.received).toBe("hi■");
  });

  test("does not end when Claude works again in the meantime", async () => {
    const { clock, client, show, changeStatus } = await receivedTurn();
    show("hi");
    await clock.pass(100);
    changeStatus("idle");
    await clock.pass(1_000);
    changeStatus("busy");
    await clock.pass(60_000);
    expect(client.received).toBe("hi");
  });

  test("ends at once in tool mode, where hooks may be forbidden", async () => {
    const { runner, clock, client, changeStatus, settle } = await startTurn({ config: { reply: "tool" } });
    runner.handle({ type: "reply", frame: { type: "reply", content: "hi", final: false } });
    await clock.pass(100);
    changeStatus("idle");
    await runner.finished;
    await settle();
    expect(client.received).toBe("hi■");
  });

  test("does not end by a status from before the turn", async () => {
    const { clock, client, process, show, runner } = await startTurn();
    process.status = { status: "idle", since: clock.wallTime() - 1 };
    runner.handle({ type: "status" });
    show("hi");
    await clock.pass(8_000);
    expect(client.received).toBe("");
  });

  test("ends although the wall clock was set back during the turn", async () => {
    const { runner, clock, client, show, changeStatus, settle } = await receivedTurn();
    show("hi");
    await clock.pass(100);
    clock.setWallTime(-3_600_000);
    changeStatus("idle");
    await clock.pass(3_000);
    await runner.finished;
    await settle();
    expect(client.received).toBe("hi■");
  });
});

describe("a `Stop` hook that another hook may overrule", () => {
  test("ends the turn when Claude is idle", async () => {
    const { runner, clock, client, process, show, stop, changeStatus, settle } = await receivedTurn();
    process.mayContinueAfterStop = true;
    changeStatus("busy");
    show("hi");
    stop("hi");
    await clock.pass(10_000);
    expect(client.received).toBe("hi");
    changeStatus("idle");
    await runner.finished;
    await settle();
    expect(client.received).toBe("hi■");
  });

  test("ends the turn when the status changes without a notice", async () => {
    const { runner, clock, client, process, show, stop, settle } = await receivedTurn();
    process.mayContinueAfterStop = true;
    process.setStatus("busy");
    show("hi");
    stop("hi");
    await clock.pass(500);
    process.setStatus("idle");
    await clock.pass(1_000);
    await runner.finished;
    await settle();
    expect(client.received).toBe("hi■");
  });
});

test("a message that a user's hook refuses is answered with the hook's reason", async () => {
  const { runner, clock, client, row, record, changeStatus, settle } = await receivedTurn();
  const promptSubmitEnding = { ending: { reason: "No secrets." }, promptKept: false };
  record({ type: "system", content: `message_id="${runner.id}"`, promptSubmitEnding });
  await clock.pass(100);
  changeStatus("idle");
  await runner.finished;
  await settle();
  expect(client.received).toBe("No secrets.■");
  expect(row).toMatchObject({ state: "failed" });
  expect(runner.delivered).toBeNull();
});
