/** What happens to a message that Claude does not confirm. */
import { describe, expect, test } from "bun:test";
import { startTurn } from "./harness.ts";

const RECEIPT_MS = 10_000;

test("a message is sent once when its receipt arrives in time", async () => {
  const { clock, process, receive } = await startTurn();
  receive();
  await clock.pass(RECEIPT_MS);
  expect(process.sent).toEqual([{ again: false }]);
});

describe("a message whose receipt is late", () => {
  test("is sent again once", async () => {
    const { clock, process } = await startTurn();
    await clock.pass(RECEIPT_MS);
    expect(process.sent).toEqual([{ again: false }, { again: true }]);
  });

  test("fails when the second receipt is late, too, and Claude is stopped", async () => {
    const { clock, process, client, row } = await startTurn();
    await clock.pass(3 * RECEIPT_MS);
    expect(process.sent).toHaveLength(2);
    expect(client.received).toBe("✗message_not_received");
    expect(row).toMatchObject({ state: "failed", errorCode: "message_not_received" });
    expect(process.actions).toEqual(["stop"]);
  });

  test("is not sent again when the transcript has it", async () => {
    const { clock, process, row, record, promptRow } = await startTurn();
    record(promptRow());
    await clock.pass(RECEIPT_MS);
    while (row.promptId === undefined) await Bun.sleep(5);
    expect(process.sent).toHaveLength(1);
    expect(row).toMatchObject({ state: "running", promptId: "p" });
  });

  test("is not sent again while Claude is busy with something else", async () => {
    const { clock, process, changeStatus } = await startTurn();
    changeStatus("busy");
    await clock.pass(3 * RECEIPT_MS);
    expect(process.sent).toHaveLength(1);
  });

  test("is not sent again when its client has disconnected", async () => {
    const { clock, process, client } = await startTurn();
    client.response.disconnect();
    await clock.pass(RECEIPT_MS);
    expect(process.sent).toHaveLength(1);
    expect(process.actions).toEqual(["stop"]);
  });
});

describe("when the plugin reconnects", () => {
  test("a message without a receipt is sent with the same id", async () => {
    const { runner, process } = await startTurn();
    runner.handle({ type: "connection", open: true });
    expect(process.sent).toEqual([{ again: false }, { again: false }]);
  });

  test("a received message is not sent", async () => {
    const { runner, process, receive } = await startTurn();
    receive();
    runner.handle({ type: "connection", open: true });
    expect(process.sent).toHaveLength(1);
  });
});

test("Claude exits before its hook: the transcript shows that it had the message", async () => {
  const { runner, record, promptRow, exit } = await startTurn();
  record(promptRow());
  exit();
  await runner.finished;
  expect(runner.delivered).toMatchObject({ answered: false });
});
