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

describe("a message that a user's hook refuses is answered with the hook's reason", () => {
  /** A sent turn whose refusal Claude has recorded. */
  async function refusedTurn(reply: "live" | "tool") {
    const turn = await startTurn({ config: { reply } });
    const promptSubmitEnding = { ending: { reason: "No secrets." }, promptKept: false };
    turn.record({ type: "system", content: `message_id="${turn.runner.id}"`, promptSubmitEnding });
    return turn;
  }
  type Turn = Awaited<ReturnType<typeof refusedTurn>>;

  const orders: [what: string, happens: (turn: Turn) => void | Promise<void>][] = [
    [
      "when Claude becomes idle after the receipt",
      async ({ receive, clock, changeStatus }) => {
        receive();
        await clock.pass(100);
        changeStatus("idle");
      },
    ],
    [
      "when the refusal overtakes the receipt",
      async ({ receive, clock, changeStatus }) => {
        changeStatus("idle");
        await clock.pass(100);
        receive();
      },
    ],
    [
      "when Claude becomes idle between two reads of its status",
      async ({ receive, runner, clock, process }) => {
        receive();
        await clock.pass(100);
        process.setStatus("idle");
        const idle = process.status;
        const seen = [{ status: "busy", since: clock.wallTime() }];
        Object.defineProperty(process, "status", { get: () => seen.shift() ?? idle });
        runner.handle({ type: "status" });
        await clock.pass(10);
        runner.handle({ type: "status" });
      },
    ],
    [
      "when Claude is done before the send returns",
      async ({ receive, clock, process }) => {
        process.status = { status: "idle", since: clock.wallTime() };
        await clock.pass(100);
        receive();
      },
    ],
    [
      "when the receipt is lost",
      async ({ clock, changeStatus }) => {
        changeStatus("idle");
        await clock.pass(10_000);
      },
    ],
  ];
  test.each((["live", "tool"] as const).flatMap((mode) => orders.map((order) => [mode, ...order] as const)))(
    "in %s mode, %s",
    async (mode, _what, happens) => {
      const turn = await refusedTurn(mode);
      await happens(turn);
      await turn.runner.finished;
      await turn.settle();
      expect(turn.client.received).toBe("No secrets.■");
      expect(turn.row).toMatchObject({ state: "failed" });
      expect(turn.runner.delivered).toBeNull();
    },
  );
});
