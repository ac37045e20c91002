/** The order of the requests that wait in a conversation, and how they leave its queue. */
import { expect, test } from "bun:test";
import { TurnQueue } from "../../src/conversation/turn-queue.ts";
import type { TurnRequest } from "../../src/intake/turn-request.ts";
import { ResponseStream } from "../../src/turn/response-stream.ts";

const turn = (model: string) => ({ request: { model } as TurnRequest, response: new ResponseStream() });
const queueOf = (...turns: ReturnType<typeof turn>[]) => {
  const queue = new TurnQueue();
  for (const one of turns) queue.push(one);
  return queue;
};
const models = (queue: TurnQueue) => queue.requests.map(({ model }) => model);

test("serves the oldest turn first", () => {
  const queue = queueOf(turn("a"), turn("b"));
  expect(queue.shift()?.request.model).toBe("a");
  expect(queue.shift()?.request.model).toBe("b");
  expect(queue.shift()).toBeUndefined();
});

test("drops a turn when its client disconnects", () => {
  const [a, b, c] = [turn("a"), turn("b"), turn("c")];
  const queue = queueOf(a, b, c);
  b.response.disconnect();
  expect(models(queue)).toEqual(["a", "c"]);
});

test("removes the turns that match, and keeps the order of the others", () => {
  const queue = queueOf(turn("a"), turn("b"), turn("a"), turn("c"));
  expect(queue.removeWhere(({ request }) => request.model === "a")).toHaveLength(2);
  expect(models(queue)).toEqual(["b", "c"]);
});

test("hands out all turns when it is cleared", () => {
  const queue = queueOf(turn("a"), turn("b"));
  expect(queue.clear().map(({ request }) => request.model)).toEqual(["a", "b"]);
  expect(queue.length).toBe(0);
});
