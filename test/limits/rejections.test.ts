/** When a message is refused because Anthropic has rejected one, and for how long. */
import { describe, expect, test } from "bun:test";
import { RequestError } from "../../src/core/errors.ts";
import { Rejections } from "../../src/limits/rejections.ts";
import { UsageLimitError } from "../../src/limits/usage-limit-error.ts";
import { ManualClock } from "../support/manual-clock.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const never = new Promise<void>(() => {});

/** An account for which Anthropic has rejected a message: in `window`, to `model`, until in an hour. */
function rejectedFor(window: string, model: string | null = null) {
  const clock = new ManualClock();
  const rejections = new Rejections(clock);
  const reject = (ms = HOUR) =>
    rejections.note(new UsageLimitError(window, clock.wallTime() + ms, clock.wallTime()), model);
  reject();
  /** Whether a message to this model is sent. */
  const isSent = (to: string | null = null, answer = never) => rejections.admit(to, answer) === null;
  return { clock, rejections, reject, isSent };
}

describe("after a rejection", () => {
  test("messages are refused with the time until the reset", async () => {
    const { clock, rejections } = rejectedFor("five_hour");
    await clock.pass(MINUTE);
    expect(rejections.admit(null, never)).toMatchObject({
      code: "usage_limit_reached",
      retryAfter: 59 * 60,
      window: "five_hour",
      message: expect.stringMatching(/5-hour usage limit is reached\. It resets in 59 min, on Jan 1 at /),
    });
    expect(rejections.current()).toEqual([
      { window: "five_hour", models: [null], resetsAt: clock.wallTime() + 59 * MINUTE },
    ]);
  });

  test("messages are sent again from the reset on", async () => {
    const { clock, rejections, isSent, reject } = rejectedFor("five_hour");
    // The second rejection keeps messages from being sent to see whether the first one still holds.
    await clock.pass(HOUR - 2);
    reject(2);
    await clock.pass(1);
    expect(isSent()).toBe(false);
    await clock.pass(1);
    expect([isSent(), isSent(), rejections.current()]).toEqual([true, true, []]);
  });

  test("one message is sent every five minutes, whatever becomes of it", async () => {
    const { clock, isSent } = rejectedFor("five_hour");
    await clock.pass(5 * MINUTE - 1);
    expect(isSent()).toBe(false);
    await clock.pass(1);
    expect([isSent(), isSent()]).toEqual([true, false]);
    await clock.pass(5 * MINUTE);
    expect([isSent(), isSent()]).toEqual([true, false]);
  });

  test("the five minutes do not depend on the wall clock", () => {
    const { clock, isSent } = rejectedFor("seven_day");
    clock.setWallTime(10 * MINUTE);
    expect(isSent()).toBe(false);
  });

  test("all messages are sent once one has been answered", async () => {
    const { clock, rejections, isSent } = rejectedFor("five_hour");
    const answer = Promise.withResolvers<void>();
    await clock.pass(5 * MINUTE);
    expect([isSent(null, answer.promise), isSent()]).toEqual([true, false]);
    answer.resolve();
    await clock.pass(0);
    expect([isSent(), isSent(), rejections.current()]).toEqual([true, true, []]);
  });

  test("a newer rejection is not lifted by the answer to an older message", async () => {
    const { clock, isSent, reject } = rejectedFor("five_hour");
    const answer = Promise.withResolvers<void>();
    await clock.pass(5 * MINUTE);
    isSent(null, answer.promise);
    reject();
    answer.resolve();
    await clock.pass(0);
    expect(isSent()).toBe(false);
  });

  test("the answer to a message that was sent before the rejection does not lift it", async () => {
    const clock = new ManualClock();
    const rejections = new Rejections(clock);
    const answer = Promise.withResolvers<void>();
    rejections.admit(null, answer.promise);
    rejections.note(new UsageLimitError("five_hour", clock.wallTime() + HOUR, clock.wallTime()), null);
    answer.resolve();
    await clock.pass(0);
    expect(rejections.admit(null, never)?.code).toBe("usage_limit_reached");
  });

  test("a message for which two windows are used up waits for the later reset", async () => {
    const { clock, rejections } = rejectedFor("five_hour");
    rejections.note(new UsageLimitError("seven_day", clock.wallTime() + 50 * HOUR, clock.wallTime()), null);
    expect(rejections.refusal(null)).toMatchObject({ window: "seven_day", retryAfter: 50 * 3600 });
    await clock.pass(5 * MINUTE);
    expect(rejections.admit(null, never)).toBeNull();
    expect(rejections.admit(null, never)?.window).toBe("seven_day");
  });
});

describe("nothing is refused", () => {
  test.each<[what: string, error: Error]>([
    ["too many requests in a minute", new RequestError("rate_limited", "Slow down.", { retryAfter: 5 })],
    ["an overload", new RequestError("overloaded", "Too much.", { retryAfter: 30 })],
    ["a window that has reset", new UsageLimitError("five_hour", 5, 0)],
  ])("after %s", (_what, error) => {
    const rejections = new Rejections(new ManualClock());
    rejections.note(error, null);
    expect([rejections.refusal(null), rejections.current()]).toEqual([null, []]);
  });
});

test.each<[window: string, rejected: string | null, refused: (string | null)[], sent: (string | null)[]]>([
  ["five_hour", "opus", [null, "opus", "haiku", "claude-sonnet-5"], []],
  ["seven_day", null, [null, "opus", "claude-haiku-4-5"], []],
  [
    "seven_day_opus",
    "opus",
    ["opus", "opus[1m]", "claude-opus-5-5", "claude-opus-5[1m]"],
    [null, "opusplan", "sonnet", "claude-sonnet-5", "haiku"],
  ],
  ["seven_day_sonnet", null, [null, "sonnet", "claude-sonnet-5"], ["opus", "haiku"]],
  ["unknown", "sonnet", ["sonnet"], [null, "opus", "claude-sonnet-5"]],
  ["seven_day_cowork", null, [null], ["sonnet", "opus"]],
])("the window %s, used up for the model %p, is that of some models", (window, rejected, refused, sent) => {
  const { rejections } = rejectedFor(window, rejected);
  for (const model of refused) expect([model, rejections.refusal(model)?.code]).toEqual([model, "usage_limit_reached"]);
  for (const model of sent) expect([model, rejections.refusal(model)]).toEqual([model, null]);
});

test.each<[ms: number, words: string]>([
  [1, "1 min"],
  [59 * MINUTE + 1, "1 h,"],
  [83 * MINUTE, "1 h 23 min"],
  [24 * HOUR, "1 d,"],
  [75 * HOUR + MINUTE, "3 d 3 h"],
])("%d ms are named in words", (ms, words) => {
  expect(new UsageLimitError("five_hour", ms, 0).message).toContain(`It resets in ${words}`);
});
