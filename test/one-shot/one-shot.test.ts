/** One one-shot, with a process that the test plays and a clock that it moves. */
import { describe, expect, test } from "bun:test";
import { setImmediate } from "node:timers/promises";
import { pathsFor } from "../../src/config/paths.ts";
import { defaults } from "../../src/config/schema.ts";
import type { OneShotRequest } from "../../src/intake/one-shot-request.ts";
import { SchemaChecker } from "../../src/json-schema/checker.ts";
import { AccountLimits } from "../../src/limits/account.ts";
import { Rejections } from "../../src/limits/rejections.ts";
import { OneShot } from "../../src/one-shot/one-shot.ts";
import type { OneShotExit } from "../../src/one-shot/process.ts";
import type { StreamJsonEvent } from "../../src/one-shot/stream-json.ts";
import { ResponseStream } from "../../src/turn/response-stream.ts";
import { ManualClock } from "../support/manual-clock.ts";

const REQUEST: OneShotRequest = {
  system: "",
  turns: [{ role: "user", content: [{ type: "text", text: "hello" }] }],
  prefill: null,
  format: { type: "text" },
  claudeSchema: null,
  model: null,
  effort: null,
};
const JSON_REQUEST: OneShotRequest = { ...REQUEST, format: { type: "json", schema: null } };
const usage = { input: 1, cached: 0, output: 1 };
const result = (more: object = {}): StreamJsonEvent => ({
  type: "result",
  failed: false,
  text: "",
  structured: null,
  usage,
  models: null,
  ...more,
});
const tokens = (text: string, message = "m1"): StreamJsonEvent => ({ type: "tokens", message, text });
const text = (value: string, message = "m1"): StreamJsonEvent => ({ type: "text", message, text: value });
const failure = (kind: string) => ({
  kind,
  message: "",
  status: null,
  isRefusal: false,
  isTooLong: false,
  window: null,
  resetsAt: null,
});
const retry = (delayMs: number): StreamJsonEvent => ({ type: "retry", failure: failure("overloaded"), delayMs });

const config = {
  ...defaults(pathsFor("/home/me/.synthesis")),
  readyTimeoutMs: 1_000,
  progressTimeoutMs: 2_000,
  turnTimeoutMs: 10_000,
};

/** Starts a one-shot. */
function start(request: OneShotRequest, env: Record<string, string> = {}) {
  const clock = new ManualClock();
  const response = new ResponseStream();
  const rejections = new Rejections(clock);
  const exited = Promise.withResolvers<OneShotExit>();
  const actions: string[] = [];
  const counted: object[] = [];
  let take = (_event: StreamJsonEvent) => {};
  let lastOutputAt: number | null = null;
  const oneShot = new OneShot(
    request,
    response,
    {
      config,
      folder: "/nowhere",
      env,
      checker: new SchemaChecker(),
      limits: new AccountLimits(),
      rejections,
      count: (one) => void counted.push(one),
      clock,
    },
    (_request, _context, on) => {
      take = on;
      return {
        pid: 1,
        exited: exited.promise,
        get lastOutputAt() {
          return lastOutputAt;
        },
        askAgain: () => actions.push("ask again"),
        endInput: () => actions.push("end input"),
        stop: () => actions.push("stop"),
        kill: () => actions.push("kill"),
      };
    },
  );
  return {
    clock,
    response,
    rejections,
    actions,
    counted,
    oneShot,
    /** The process writes these events. */
    write: (...events: StreamJsonEvent[]) => {
      lastOutputAt = clock.now();
      for (const event of events) take(event);
    },
    exit: async (how = "exit code 0") => {
      exited.resolve({ how, stderr: "" });
      await setImmediate();
    },
    error: () => response.error?.code ?? null,
  };
}

describe("the answer", () => {
  test("is sent while it is written, and completed by the result", () => {
    const { write, response, error } = start(REQUEST);
    write(tokens("one "));
    expect(response.text).toBe("one ");
    write(text("one two"), result());
    expect([response.text, error()]).toEqual(["one two", null]);
  });

  test("is never empty", () => {
    const { write, response } = start(REQUEST);
    write(result());
    expect(response.text).toBe("(no answer)");
  });

  test("fails when it was begun again with another text", () => {
    const { write, error } = start(REQUEST);
    write(tokens("one "), { type: "abandoned", message: "m1" }, text("two", "m2"), result());
    expect(error()).toBe("claude_failed");
  });

  test("ignores what the process writes after the result", () => {
    const { write, response } = start(REQUEST);
    write(text("one"), result(), tokens("two", "m2"));
    expect(response.text).toBe("one");
  });
});

describe("an answer in JSON", () => {
  test("is sent only when it is complete, without its code fence", async () => {
    const { write, response, actions } = start(JSON_REQUEST);
    write(tokens('```json\n{"a":'));
    expect(response.text).toBe("");
    write(text('```json\n{"a":1}\n```'), result());
    await response.opened;
    expect([response.text, actions]).toEqual(['{"a":1}', ["end input"]]);
  });

  test("is the structured one, if there is one", async () => {
    const { write, response } = start(JSON_REQUEST);
    write(text("Here it is."), result({ structured: '{"a":1}' }));
    await response.opened;
    expect(response.text).toBe('{"a":1}');
  });

  test("may be valid only together with the prefill", async () => {
    const { write, response } = start({ ...JSON_REQUEST, prefill: '{"a":' });
    write(text("1}"), result());
    await response.opened;
    expect(response.text).toBe("1}");
  });

  test("is repeated when it is not valid, and only the second one is sent", async () => {
    const { write, response, actions } = start(JSON_REQUEST);
    write(text("Sorry."), result());
    await setImmediate();
    expect([response.text, actions]).toEqual(["", ["ask again"]]);
    write(text('{"a":1}', "m2"), result());
    await response.opened;
    expect(response.text).toBe('{"a":1}');
  });

  test("fails when the second one is not valid either", async () => {
    const { write, error, response, actions } = start(JSON_REQUEST);
    write(text("Sorry."), result());
    await setImmediate();
    write(text("Sorry again.", "m2"), result());
    await response.opened.catch(() => {});
    expect([error(), actions]).toEqual(["claude_failed", ["ask again", "end input"]]);
  });
});

describe("a failed request to the model", () => {
  test("is the error, when it has failed for good", () => {
    const { write, error } = start(REQUEST);
    write({ type: "failure", failure: failure("rate_limit") }, result({ failed: true, text: "Slow down." }));
    expect(error()).toBe("rate_limited");
  });

  test("refuses later messages when a window of the plan is used up", () => {
    const { write, error, rejections, clock } = start({ ...REQUEST, model: "opus" });
    const resetsAt = clock.wallTime() / 1000 + 60;
    const used = { ...failure("rate_limit"), window: "seven_day_opus", resetsAt };
    write({ type: "failure", failure: used }, result({ failed: true, text: "Used up." }));
    expect(error()).toBe("usage_limit_reached");
    expect([rejections.refusal("opus")?.code, rejections.refusal("sonnet")]).toEqual(["usage_limit_reached", null]);
  });

  test("that would be repeated later refuses no other message", () => {
    const { write, error, rejections } = start(REQUEST);
    write({ type: "retry", failure: failure("rate_limit"), delayMs: 60_000 });
    expect([error(), rejections.current()]).toEqual(["rate_limited", []]);
  });

  test("is retried for a few seconds, and then is the error", async () => {
    const { write, error, actions, clock } = start(REQUEST);
    write(retry(1_000));
    await clock.pass(1_000);
    write(retry(2_000));
    expect(error()).toBeNull();
    write(retry(60_000));
    expect([error(), actions]).toEqual(["overloaded", ["stop"]]);
  });

  test("is retried as often as the user has set it", () => {
    const { write, error } = start(REQUEST, { CLAUDE_CODE_MAX_RETRIES: "10" });
    write(retry(60_000));
    expect(error()).toBeNull();
  });
});

describe("deadlines", () => {
  test("a process that never writes anything is stopped", async () => {
    const { clock, error, actions } = start(REQUEST);
    await clock.pass(1_000);
    expect([error(), actions]).toEqual(["claude_not_ready", ["stop"]]);
  });

  test("a process that falls silent is stopped", async () => {
    const { clock, write, error, actions } = start(REQUEST);
    write(tokens("one"));
    await clock.pass(1_500);
    write({ type: "other" });
    await clock.pass(1_500);
    expect(error()).toBeNull();
    await clock.pass(500);
    expect([error(), actions]).toEqual(["turn_timeout", ["stop"]]);
  });

  test("a process that does not finish is stopped", async () => {
    const { clock, write, error, actions } = start(REQUEST);
    for (let second = 0; second < 10; second += 1) {
      write({ type: "other" });
      await clock.pass(1_000);
    }
    expect([error(), actions]).toEqual(["turn_timeout", ["stop"]]);
  });

  test("no timer is left after the exit", async () => {
    const { clock, write, exit, oneShot } = start(REQUEST);
    write(text("one"), result());
    await exit();
    await oneShot.finished;
    expect(clock.timers).toBe(0);
  });
});

describe("an exit without an answer", () => {
  test("before any output means that Claude Code could not start", async () => {
    const { exit, error, response } = start(REQUEST);
    await exit("exit code 1");
    expect([error(), response.error?.retryAfter]).toEqual(["claude_not_ready", undefined]);
  });

  test("by a signal before any output may be retried", async () => {
    const { exit, response } = start(REQUEST);
    await exit("SIGKILL");
    expect(response.error?.retryAfter).toBe(1);
  });

  test("after some output is a failure of Claude Code", async () => {
    const { write, exit, error } = start(REQUEST);
    write(tokens("one"));
    await exit("SIGKILL");
    expect(error()).toBe("claude_exited");
  });
});

test("the process is stopped when the client disconnects", () => {
  const { response, actions } = start(REQUEST);
  response.disconnect();
  expect(actions).toEqual(["stop"]);
});

test("counts a request once, with what its process has used, as soon as it is answered", () => {
  const opus = { model: "opus", calls: 0, input: 1, cacheRead: 2, cacheWrite: 3, output: 4, cost: 0.5 };
  const { counted, write, clock } = start(REQUEST);
  write({ type: "tokens", message: "m", text: "hi" }, { type: "text", message: "m", text: "hi" });
  write(result({ models: [opus] }));
  const now = clock.wallTime();
  expect(counted).toEqual([{ state: "done", sentAt: now, firstTextAt: now, modelUsage: [{ ...opus, calls: 1 }] }]);
});
