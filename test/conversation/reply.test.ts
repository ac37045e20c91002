/** What a client's answer is made of, as a door gets it. */
import { expect, test } from "bun:test";
import { Reply, type ReplyPart } from "../../src/conversation/reply.ts";

test("what comes together goes out together, in its order, neighbouring text as one", async () => {
  const reply = new Reply();
  const text = (text: string): ReplyPart => ({ type: "text", text });
  const progress: ReplyPart = { type: "progress", text: "Reads a file\n" };
  const parts = reply.parts();
  const first = parts.next();
  // Each in a turn of its own of the microtasks, as Bun hands on the frames of one read.
  for (const part of [text("one\n"), text("two\n"), progress, text("three\n"), text("four\n")]) {
    reply.put(part);
    await Promise.resolve();
  }
  expect((await first).value).toEqual([text("one\ntwo\n"), progress, text("three\nfour\n")]);

  reply.put(text("five\n"));
  reply.put({ type: "finish" });
  reply.close();
  reply.put(text("too late\n"));
  expect(await Array.fromAsync(parts)).toEqual([[text("five\n"), { type: "finish" }]]);
});
