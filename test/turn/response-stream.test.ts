/** The response to one client request, as its reader receives it. */
import { describe, expect, test } from "bun:test";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { RequestError } from "../../src/core/errors.ts";
import type { ResponsePart } from "../../src/core/response-part.ts";
import { ResponseStream } from "../../src/turn/response-stream.ts";
import { ManualClock } from "../support/manual-clock.ts";

test("the first part is read at once, and the next ones as one batch, with neighbouring texts joined", async () => {
  const response = new ResponseStream();
  const text = (text: string): ResponsePart => ({ type: "text", text });
  const progress: ResponsePart = { type: "progress", text: "Reads a file\n" };
  const parts = response.parts();
  response.push(text("one\n"));
  expect((await parts.next()).value).toEqual([text("one\n")]);

  // Each part has its own microtask, like the frames that Bun reads from a socket at once.
  for (const part of [text("two\n"), progress, text("three\n"), text("four\n")]) {
    response.push(part);
    await Promise.resolve();
  }
  response.push(text("five\n"));
  response.push({ type: "finish" });
  response.close();
  response.push(text("too late\n"));
  const rest: ResponsePart[] = [text("two\n"), progress, text("three\nfour\nfive\n"), { type: "finish" }];
  expect(await Array.fromAsync(parts)).toEqual([rest]);
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

describe("a reader", () => {
  const second = 1_000;
  const mostInASecond = (batches: readonly { readonly at: number }[]) =>
    Math.max(...batches.map(({ at }) => batches.filter((one) => one.at >= at && one.at < at + second).length));
  /** Time that passes, and the part that is pushed then. */
  const step = fc.record({
    ms: fc.oneof(fc.constantFrom(0, 0, 1, 5, 20), fc.integer({ min: 0, max: 120 })),
    type: fc.constantFrom("text", "text", "text", "progress"),
  });
  const end = fc.constantFrom("finish", "close", "disconnect", "error");
  const schedule = fc.record({ steps: fc.array(step, { minLength: 1, maxLength: 150 }), end, ms: fc.nat(40) });
  type Schedule = typeof schedule extends fc.Arbitrary<infer T> ? T : never;

  /** Lets time pass in steps, and lets the reader read before each. */
  async function pass(clock: ManualClock, ms: number) {
    for (let passed = 0; passed < ms; passed += 1) {
      await setImmediate();
      await setImmediate();
      await clock.pass(1);
    }
  }

  async function read({ steps, end, ms }: Schedule) {
    const clock = new ManualClock();
    const response = new ResponseStream(clock);
    response.opened.catch(() => {});
    const batches: { at: number; parts: readonly ResponsePart[] }[] = [];
    const reading = (async () => {
      for await (const parts of response.parts()) batches.push({ at: clock.now(), parts });
    })();
    const pushed: { at: number; type: string; text: string }[] = [];
    for (const [index, { ms, type }] of steps.entries()) {
      await pass(clock, ms);
      const part = { type, text: `${index} ` };
      pushed.push({ at: clock.now(), ...part });
      response.push(part);
    }
    await pass(clock, ms);
    const endedAt = clock.now();
    if (end === "finish") response.push({ type: "finish" });
    if (end === "error") response.sendError(new RequestError("overloaded", "Too much."));
    if (end === "disconnect") response.disconnect();
    else response.close();
    // No time passes, so nothing of the end may wait for a timer.
    await reading;
    return { clock, batches, pushed, endedAt };
  }

  test("gets every part once, in order and in time, and at most sixty batches a second", () =>
    fc.assert(
      fc.asyncProperty(schedule, async (given) => {
        const { clock, batches, pushed, endedAt } = await read(given);
        const frequent = batches.flatMap(({ at, parts }) =>
          parts.flatMap((part) => (part.type === "text" || part.type === "progress" ? [{ at, ...part }] : [])),
        );
        const words = frequent.flatMap(({ at, type, text }) =>
          text
            .trim()
            .split(" ")
            .map((word) => ({ at, type, text: `${word} ` })),
        );
        expect(words.map(({ type, text }) => [type, text])).toEqual(pushed.map(({ type, text }) => [type, text]));
        for (const [index, { at }] of words.entries()) expect(at - (pushed[index]?.at ?? 0)).toBeLessThanOrEqual(17);
        expect(words[0]?.at).toBe(pushed[0]?.at as number);
        expect(batches.at(-1)?.at).toBeLessThanOrEqual(endedAt);
        expect(mostInASecond(batches)).toBeLessThanOrEqual(60);
        expect(clock.timers).toBe(0);
      }),
      { numRuns: 60 },
    ));

  test("gets close to sixty batches a second while the model writes faster", async () => {
    const steps = Array.from({ length: 1_000 }, () => ({ ms: 2, type: "text" as const }));
    const most = mostInASecond((await read({ steps, end: "finish", ms: 1 })).batches);
    expect(most).toBeGreaterThan(50);
    expect(most).toBeLessThanOrEqual(60);
  });

  test("that is slow gets what has gathered in one batch, and no timer runs meanwhile", async () => {
    const clock = new ManualClock();
    const response = new ResponseStream(clock);
    const parts = response.parts();
    response.push({ type: "text", text: "one " });
    expect((await parts.next()).value).toEqual([{ type: "text", text: "one " }]);
    for (const text of ["two ", "three ", "four "]) {
      response.push({ type: "text", text });
      await clock.pass(100);
    }
    expect(clock.timers).toBe(0);
    expect((await parts.next()).value).toEqual([{ type: "text", text: "two three four " }]);
    const next = parts.next();
    await clock.pass(1_000);
    expect(clock.timers).toBe(0);
    response.close();
    expect((await next).done).toBe(true);
  });
});

describe("an answer that is held back", () => {
  const usage = { input: 10, cached: 5, output: 3 };
  const held = () => {
    const response = new ResponseStream();
    response.hold();
    return response;
  };
  const partsOf = async (response: ResponseStream) => (await Array.fromAsync(response.parts())).flat();

  test("is sent at its end, as the text that was checked, with the usage of all its turns", async () => {
    const response = held();
    response.addPreface("[synthesis: A notice.]");
    response.push({ type: "text", text: "not JSON" });
    response.push({ type: "finish" });
    response.push({ type: "usage", usage });
    response.close();
    expect(response.heldText).toBe("not JSON");
    response.dropHeld();
    response.push({ type: "progress", text: "Works\n" });
    response.push({ type: "text", text: "{}\n" });
    response.push({ type: "finish" });
    response.push({ type: "usage", usage: { ...usage, input: 20 } });
    response.close();
    response.endHeld("{}");
    expect(await partsOf(response)).toEqual([
      { type: "progress", text: "Works\n[synthesis: A notice.]" },
      { type: "text", text: "{}" },
      { type: "finish" },
      { type: "usage", usage: { input: 20, cached: 5, output: 6 } },
    ]);
    expect(response.text).toBe("{}");
  });

  test("goes out unchecked before calls, and when it was cut off", async () => {
    for (const end of [
      { type: "calls", calls: [] },
      { type: "finish", reason: "length" },
    ] as const) {
      const response = held();
      response.push({ type: "text", text: "so far" });
      response.push(end);
      response.close();
      expect(await partsOf(response)).toEqual([{ type: "text", text: "so far" }, end]);
    }
  });

  test("is dropped by an error, which can still set the status", async () => {
    const response = held();
    response.push({ type: "text", text: "so far" });
    response.fail(new RequestError("claude_exited", "Gone."));
    await expect(response.opened).rejects.toMatchObject({ code: "claude_exited" });
    expect(await partsOf(response)).toMatchObject([{ type: "error" }]);
  });

  test("ends when the client disconnects", async () => {
    const response = held();
    response.push({ type: "text", text: "so far" });
    response.disconnect();
    expect(await partsOf(response)).toEqual([]);
    expect(response.isTruncated).toBe(true);
  });
});

describe("an answer has begun", () => {
  const text: ResponsePart = { type: "text", text: "hello" };

  test("with its first part, and not with the heartbeats or an error", async () => {
    const clock = new ManualClock();
    const response = new ResponseStream(clock);
    response.openAfter(10);
    await clock.pass(10);
    await response.opened;
    expect(response.hasBegun).toBe(false);
    response.push(text);
    await response.begun;
    expect(response.hasBegun).toBe(true);

    const failed = new ResponseStream();
    failed.fail(new RequestError("overloaded", "Too much."));
    expect(failed.hasBegun).toBe(false);
  });

  test("with a text that is held back only when it is sent", async () => {
    const response = new ResponseStream();
    response.hold();
    response.push(text);
    expect(response.hasBegun).toBe(false);
    response.endHeld("hello");
    expect(response.hasBegun).toBe(true);
  });
});
