/** The token usage of a turn's answers, read from a transcript. */
import { expect, test } from "bun:test";
import { parkedTurn, receivedTurn } from "./harness.ts";

/** A model call that used `input` and `output` tokens, and made a tool call. */
const modelCall = (id: string, input: number, output: number, toolUse?: string) => ({
  type: "assistant",
  message: {
    id,
    model: "opus",
    content: toolUse === undefined ? [] : [{ type: "tool_use", id: toolUse, name: "weather" }],
    usage: { input_tokens: input, output_tokens: output },
  },
});
const turnEnd = { type: "system", subtype: "turn_duration" };

test("an answer has the input of its last model call and the output of all its calls", async () => {
  const { runner, client, row, record, promptRow, show, stop, settle } = await receivedTurn();
  record(promptRow(), modelCall("m", 10, 1, "Bash"), modelCall("n", 20, 2), turnEnd);
  show("hi");
  stop("hi");
  await runner.finished;
  await settle();
  expect(client.usage).toEqual({ input: 20, cached: 0, output: 3 });
  expect(row).toMatchObject({ usage: [{ model: "opus", calls: 2, input: 30, output: 3 }], isUsageFinal: true });
});

test("the answers before and after a tool call each have their own usage", async () => {
  const { runner, client, row, newClient, record, promptRow, show, stop, settle } = await parkedTurn();
  record(promptRow(), modelCall("m", 10, 1, "a"), modelCall("n", 20, 2), turnEnd);
  const next = newClient();
  runner.resume(next.response, new Map());
  show("hi");
  stop("hi");
  await runner.finished;
  await settle();
  expect(next.usage).toEqual({ input: 20, cached: 0, output: 2 });
  expect(row).toMatchObject({ usage: [{ model: "opus", calls: 2, input: 30, output: 3 }], isUsageFinal: true });
  // The first answer ended before the transcript existed.
  expect(client.usage).toBeUndefined();
});

test("a failed turn sends the usage of what it has recorded", async () => {
  const { runner, client, record, promptRow, exit, settle } = await receivedTurn();
  record(promptRow(), modelCall("m", 10, 1));
  exit();
  await runner.finished;
  await settle();
  expect(client.received).toBe("✗claude_exited");
  expect(client.usage).toEqual({ input: 10, cached: 0, output: 1 });
});

test("a turn without a transcript sends no usage", async () => {
  const { runner, client, show, stop, settle } = await receivedTurn();
  show("hi");
  stop("hi");
  await runner.finished;
  await settle();
  expect(client.usage).toBeUndefined();
});
