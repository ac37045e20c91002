/** One turn, from its message to its end: what the client receives, what Claude is sent, and what is stored. */
import { describe, expect, test } from "bun:test";
import { RequestError } from "../../src/core/errors.ts";
import { createTurn, PROMPT, parkedTurn, receivedTurn, startTurn } from "./harness.ts";

const result = (text: string) => new Map([["a", { content: [{ type: "text" as const, text }], isError: false }]]);

test("streams the answer, stores the turn and frees Claude", async () => {
  const { runner, client, row, show, stop, clock, process } = await receivedTurn();
  show("hi");
  stop("hi");
  await runner.idle;
  await runner.finished;
  await clock.pass(0);
  expect(client.received).toBe("hi■");
  expect(row).toMatchObject({ state: "done", promptId: PROMPT, errorCode: null });
  expect(runner.delivered).toMatchObject({ answered: true, truncation: null });
  expect(process.actions).toEqual([]);
  expect(clock.timers).toBe(0);
});

describe("does not send the message", () => {
  test("when the turn cannot be stored", async () => {
    const { runner, process } = createTurn({ failsToInsert: true });
    expect(runner.start()).rejects.toThrow("disk full");
    expect(process.sent).toEqual([]);
  });

  test("when the plugin is not connected, and stores that", async () => {
    const { runner, row } = createTurn({ isConnected: false });
    expect(await runner.start()).toBe(false);
    expect(row).toMatchObject({ state: "failed", errorCode: "message_not_received" });
    expect(runner.delivered).toBeNull();
  });
});

describe("a client that disconnects", () => {
  test("before the receipt: Claude is interrupted only when it has the message", async () => {
    const { client, process, receive } = await startTurn();
    client.response.disconnect();
    expect(process.actions).toEqual([]);
    receive();
    expect(process.actions).toEqual(["interrupt"]);
  });

  test("after the receipt: Claude is interrupted, and the turn ends when it is idle", async () => {
    const { client, clock, process, row, runner, changeStatus, settle } = await receivedTurn();
    client.response.disconnect();
    expect(process.actions).toEqual(["interrupt"]);
    await clock.pass(1_000);
    changeStatus("idle");
    await clock.pass(500);
    await runner.idle;
    await settle();
    expect(row).toMatchObject({ state: "interrupted", errorCode: null });
    expect(runner.workEnded.aborted).toBe(true);
  });

  test("after its whole answer: Claude is not interrupted", async () => {
    const { client, process } = await parkedTurn();
    client.response.disconnect();
    expect(process.actions).toEqual([]);
  });
});

describe("a turn that is parked on a tool call", () => {
  test("ends the client's answer with the call", async () => {
    const turn = await parkedTurn();
    await turn.settle();
    expect(turn.client.received).toBe("(1)");
    expect(turn.runner.awaitedCalls).toEqual(["a"]);
    expect(turn.parks).toBe(1);
  });

  test("continues with the client's result", async () => {
    const { runner, process, newClient, show, stop, settle } = await parkedTurn();
    const next = newClient();
    runner.resume(next.response, result("sunny"));
    expect(process.results.get("a")).toEqual({ content: [{ type: "text", text: "sunny" }], isError: false });
    show("It is sunny.");
    stop("It is sunny.");
    await runner.finished;
    await settle();
    expect(next.received).toBe("It is sunny.■");
  });

  test("sends its answer again to a client that has lost it, and stays parked", async () => {
    const { runner, newClient, settle } = await parkedTurn();
    const again = newClient();
    runner.repeat(again.response);
    await settle();
    expect(again.received).toBe("(1)");
    expect(runner.awaitedCalls).toEqual(["a"]);
  });

  test("is abandoned: Claude gets an error for the call, and is stopped when it has recorded that", async () => {
    const { runner, process, endCall } = await parkedTurn();
    runner.abandon(new Map(), "The user sent another message.");
    expect(process.results.get("a")?.isError).toBe(true);
    expect(process.actions).toEqual([]);
    endCall("a");
    expect(process.actions).toEqual(["interrupt"]);
  });

  test("holds Claude's text until the client's next request", async () => {
    const { runner, client, newClient, show, settle } = await parkedTurn();
    show("Meanwhile.");
    await settle();
    expect(client.received).toBe("(1)");
    const next = newClient();
    runner.resume(next.response, result("sunny"));
    await settle();
    expect(next.received).toBe("Meanwhile.");
  });
});

test("ends the answer with a question, and continues with the reply to it", async () => {
  const { runner, client, newClient, show, stop, settle } = await receivedTurn();
  runner.askClient("May I?");
  await settle();
  expect(client.received).toBe("May I?■");
  const next = newClient();
  runner.continueWith(next.response, ["yes"]);
  show("Done.");
  stop("Done.");
  await runner.finished;
  await settle();
  expect(next.received).toBe("Done.■");
  expect(runner.delivered?.exchanges.map(({ users }) => users)).toEqual([["hello"], ["yes"]]);
});

test("tells the client that Claude exited during the turn", async () => {
  const { runner, client, row, show, exit, settle } = await receivedTurn();
  show("half", false);
  exit();
  await runner.finished;
  await settle();
  expect(client.received).toBe("half✗claude_exited");
  expect(row).toMatchObject({ state: "failed", errorCode: "claude_exited" });
  expect(runner.delivered).toMatchObject({ answered: false, truncation: "failed", hasFailed: false });
});

test("closes the response at once when it is interrupted with an error", async () => {
  const { runner, client, settle } = await receivedTurn();
  runner.interrupt(new RequestError("turn_interrupted", "Interrupted by the operator."));
  await settle();
  expect(client.received).toBe("✗turn_interrupted");
});
