/** What a client's answer is made of, as a door gets it. */
import { expect, test } from "bun:test";
import { RequestError } from "../../src/core/errors.ts";
import { type ResponsePart, ResponseStream } from "../../src/turn/response-stream.ts";

test("what comes together goes out together, in its order, neighbouring text as one", async () => {
  const reply = new ResponseStream();
  const text = (text: string): ResponsePart => ({ type: "text", text });
  const progress: ResponsePart = { type: "progress", text: "Reads a file\n" };
  const parts = reply.parts();
  const first = parts.next();
  // Each in a turn of its own of the microtasks, as Bun hands on the frames of one read.
  for (const part of [text("one\n"), text("two\n"), progress, text("three\n"), text("four\n")]) {
    reply.push(part);
    await Promise.resolve();
  }
  expect((await first).value).toEqual([text("one\ntwo\n"), progress, text("three\nfour\n")]);

  reply.push(text("five\n"));
  reply.push({ type: "finish" });
  reply.close();
  reply.push(text("too late\n"));
  expect(await Array.fromAsync(parts)).toEqual([[text("five\n"), { type: "finish" }]]);
});

test("a preface goes out with what begins the answer, and not with an error that comes instead", async () => {
  const answered = new ResponseStream();
  answered.addPreface("First this.\n\n");
  answered.push({ type: "text", text: "hello" });
  await answered.opened;
  answered.close();
  expect(await Array.fromAsync(answered.parts())).toEqual([[{ type: "text", text: "First this.\n\nhello" }]]);

  const failed = new ResponseStream();
  failed.addPreface("First this.\n\n");
  failed.fail(new RequestError("overloaded", "Too much."));
  expect(failed.opened).rejects.toMatchObject({ code: "overloaded" });
  expect((await Array.fromAsync(failed.parts())).flat().map(({ type }) => type)).toEqual(["error"]);
});

test("a client that disconnects before the answer has begun leaves nothing that waits", async () => {
  const reply = new ResponseStream();
  reply.disconnect();
  expect(reply.opened).rejects.toBeInstanceOf(RequestError);
  expect(await Array.fromAsync(reply.parts())).toEqual([]);
});
