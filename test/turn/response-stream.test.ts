/** The response to one client request, as its reader receives it. */
import { expect, test } from "bun:test";
import { RequestError } from "../../src/core/errors.ts";
import { type ResponsePart, ResponseStream } from "../../src/turn/response-stream.ts";

test("parts that are pushed together are read as one batch, with neighbouring texts joined", async () => {
  const response = new ResponseStream();
  const text = (text: string): ResponsePart => ({ type: "text", text });
  const progress: ResponsePart = { type: "progress", text: "Reads a file\n" };
  const parts = response.parts();
  const first = parts.next();
  // Each part has its own microtask, like the frames that Bun reads from a socket at once.
  for (const part of [text("one\n"), text("two\n"), progress, text("three\n"), text("four\n")]) {
    response.push(part);
    await Promise.resolve();
  }
  expect((await first).value).toEqual([text("one\ntwo\n"), progress, text("three\nfour\n")]);

  response.push(text("five\n"));
  response.push({ type: "finish" });
  response.close();
  response.push(text("too late\n"));
  expect(await Array.fromAsync(parts)).toEqual([[text("five\n"), { type: "finish" }]]);
});

test("a preface is sent with the first part of the answer, and not with an error", async () => {
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

test("a client that disconnects before the answer has begun ends every wait", async () => {
  const response = new ResponseStream();
  response.disconnect();
  expect(response.opened).rejects.toBeInstanceOf(RequestError);
  expect(await Array.fromAsync(response.parts())).toEqual([]);
});
