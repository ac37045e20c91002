/** Model requests that Claude retries by itself. */
import { describe, expect, test } from "bun:test";
import { receivedTurn } from "./harness.ts";

const requested = { type: "api", activity: { what: "requested" } } as const;
const answered = { type: "api", activity: { what: "answered" } } as const;
const failed = { type: "api", activity: { what: "failed", status: 429, message: "slow down" } } as const;

describe("a turn whose model request fails", () => {
  test("ends with the model's error when no attempt succeeds in time", async () => {
    const { clock, client, runner } = await receivedTurn();
    runner.handle(requested);
    runner.handle(failed);
    await clock.pass(7_999);
    expect(client.received).toBe("");
    await clock.pass(1);
    expect(client.received).toBe("✗rate_limited");
  });

  test("counts the time from the first failure on", async () => {
    const { clock, client, runner } = await receivedTurn();
    for (let attempt = 0; attempt < 4; attempt += 1) {
      runner.handle(requested);
      runner.handle(failed);
      await clock.pass(2_000);
    }
    expect(client.received).toBe("✗rate_limited");
  });

  test("continues when the next attempt succeeds", async () => {
    const { clock, client, runner } = await receivedTurn();
    runner.handle(requested);
    runner.handle(failed);
    runner.handle(requested);
    runner.handle(answered);
    await clock.pass(60_000);
    expect(client.received).toBe("");
  });

  test("continues when the user has set Claude's number of retries", async () => {
    const { clock, client, process, runner } = await receivedTurn();
    process.hasOwnRetries = true;
    runner.handle(requested);
    runner.handle(failed);
    await clock.pass(60_000);
    expect(client.received).toBe("");
  });

  test("continues when the request was not the conversation's", async () => {
    const { clock, client, runner } = await receivedTurn();
    runner.handle(failed);
    await clock.pass(60_000);
    expect(client.received).toBe("");
  });
});
