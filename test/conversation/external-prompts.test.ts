/** Prompts in Claude that no request caused: when one starts, when it ends, and who waits for that. */
import { beforeEach, describe, expect, test } from "bun:test";
import { ExternalPrompts } from "../../src/conversation/external-prompts.ts";
import type { HookBody } from "../../src/wire/hooks.ts";

const hook = (hook_event_name: string, more: object = {}) =>
  ({ hook_event_name, session_id: "s", transcript_path: "/t", prompt_id: "p1", ...more }) as HookBody;
const submit = (id: string, prompt = "a person's words") => hook("UserPromptSubmit", { prompt_id: id, prompt });
const own = '<channel source="synthesis" message_id="turn-1">hello</channel>';

let ends: number;
let prompts: ExternalPrompts;
beforeEach(() => {
  ends = 0;
  prompts = new ExternalPrompts(() => {
    ends += 1;
  });
});
const handle = (...hooks: HookBody[]) => {
  for (const one of hooks) prompts.handleHook(one, (messageId) => messageId === "turn-1");
};

describe("an external prompt", () => {
  test.each(["Stop", "StopFailure"])("lasts from its submission to its %s", (end) => {
    handle(submit("p1"));
    expect(prompts.isAny).toBe(true);
    handle(hook(end));
    expect(prompts.isAny).toBe(false);
    expect(ends).toBe(1);
  });

  test("is one that no turn of the conversation sent", () => {
    handle(submit("p1", own));
    expect(prompts.isAny).toBe(false);
    handle(submit("p2", own.replace("turn-1", "turn-of-another-server")));
    expect(prompts.isAny).toBe(true);
  });

  test("continues when a subagent stops", () => {
    handle(submit("p1"), hook("Stop", { agent_id: "a" }));
    expect(prompts.isAny).toBe(true);
  });

  test("continues when another prompt stops", () => {
    handle(submit("p1"), hook("Stop", { prompt_id: "p2" }));
    expect(prompts.isAny).toBe(true);
    expect(ends).toBe(0);
  });
});

test("reports the end once, after the last of several prompts", () => {
  handle(submit("p1"), submit("p2"), hook("Stop", { prompt_id: "p1" }));
  expect(ends).toBe(0);
  handle(hook("Stop", { prompt_id: "p2" }));
  expect(ends).toBe(1);
});

test("ends all prompts when Claude is idle, although no hook said so", () => {
  handle(submit("p1"), submit("p2"));
  prompts.endAll();
  expect(prompts.isAny).toBe(false);
  prompts.endAll();
  expect(ends).toBe(1);
});

describe("waiting for the end", () => {
  const never = new AbortController().signal;

  test("ends at once when there is no prompt", async () => {
    expect(await prompts.waitForEnd(never)).toBe(true);
  });

  test("resolves with true after the last prompt", async () => {
    handle(submit("p1"));
    const wait = prompts.waitForEnd(never);
    handle(submit("p2"), hook("Stop"), hook("Stop", { prompt_id: "p2" }));
    expect(await wait).toBe(true);
  });

  test("resolves with false when it is aborted first", async () => {
    handle(submit("p1"));
    const abort = new AbortController();
    const wait = prompts.waitForEnd(abort.signal);
    abort.abort();
    expect(await wait).toBe(false);
    expect(await prompts.waitForEnd(AbortSignal.abort())).toBe(false);
  });
});
