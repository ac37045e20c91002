/** The deadlines of a turn in each of its phases. */
import { describe, expect, test } from "bun:test";
import { parkedTurn, receivedTurn } from "./harness.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

describe("a turn that runs", () => {
  test("ends with an error when Claude shows no output for too long", async () => {
    const { clock, client, process } = await receivedTurn({ config: { progressTimeoutMs: 5 * MINUTE } });
    await clock.pass(5 * MINUTE);
    expect(client.received).toBe("✗turn_timeout");
    expect(process.actions[0]).toBe("interrupt");
  });

  test("continues while Claude shows output", async () => {
    const { clock, client, process } = await receivedTurn({ config: { progressTimeoutMs: 5 * MINUTE } });
    for (let minutes = 0; minutes < 20; minutes += 4) {
      await clock.pass(4 * MINUTE);
      process.noteOutput();
    }
    expect(client.received).toBe("");
  });

  test("ends with an error when it takes too long, output or not", async () => {
    const { clock, client, process } = await receivedTurn({ config: { turnTimeoutMs: 10 * MINUTE } });
    for (let minutes = 0; minutes < 10; minutes += 1) {
      process.noteOutput();
      await clock.pass(MINUTE);
    }
    expect(client.received).toBe("✗turn_timeout");
  });
});

describe("a turn that is parked on a tool call", () => {
  const config = { parkedToolTimeoutMs: 5 * MINUTE, turnTimeoutMs: 10 * MINUTE };

  test("is abandoned when the client sends no result in time", async () => {
    const { clock, process, runner } = await parkedTurn({ config });
    await clock.pass(5 * MINUTE);
    expect(runner.awaitedCalls).toBeNull();
    expect(process.results.get("a")?.isError).toBe(true);
    expect(process.actions).toEqual([]);
  });

  test("stops a Claude that does not record the error", async () => {
    const { clock, process } = await parkedTurn({ config });
    await clock.pass(5 * MINUTE + SECOND);
    expect(process.actions).toEqual(["interrupt"]);
  });

  test("does not count the wait for its client as work", async () => {
    const { clock, runner, newClient } = await parkedTurn({ config });
    const next = newClient();
    await clock.pass(4 * MINUTE);
    runner.resume(next.response, new Map());
    await clock.pass(9 * MINUTE);
    expect(next.received).toBe("");
    await clock.pass(MINUTE);
    expect(next.received).toBe("✗turn_timeout");
  });
});

test("a turn that asks a question outlasts the question's own deadline", async () => {
  const { clock, runner } = await receivedTurn({ config: { permissionTimeoutMs: MINUTE } });
  runner.askClient("May I?");
  await clock.pass(MINUTE);
  expect(runner.awaitedCalls).toEqual([]);
  await clock.pass(SECOND);
  expect(runner.awaitedCalls).toBeNull();
});
