/** The prompts that wait for a verdict: their ids, their time limit, and their rows in the permission log. */
import { beforeEach, describe, expect, test } from "bun:test";
import { createPermissionBroker, type PendingPrompt } from "../../src/permissions/broker.ts";
import type { PermissionLog } from "../../src/store/permissions.ts";
import { ManualClock } from "../support/manual-clock.ts";

const TIMEOUT_MS = 60_000;
const prompt = { session: "user:ann", turn: "turn-1", tool: "Bash", input: { command: "git push" }, sender: "ann" };
const never = () => new AbortController().signal;

type Row = Parameters<PermissionLog["insertPrompt"]>[0] & Partial<Parameters<PermissionLog["setVerdict"]>[1]>;

let clock: ManualClock;
let rows: Map<string, Row>;
let isLogBroken: boolean;
beforeEach(() => {
  clock = new ManualClock();
  rows = new Map();
  isLogBroken = false;
});

function create(env: Record<string, string> = {}) {
  const write = (id: string, row: object) => {
    if (isLogBroken) throw new Error("disk full");
    rows.set(id, { ...rows.get(id), ...row } as Row);
  };
  return createPermissionBroker({
    config: { permissionTimeoutMs: TIMEOUT_MS },
    permissionLog: { insertPrompt: (row) => write(row.id, row), setVerdict: write, rules: () => ["Bash(git push *)"] },
    env,
    clock,
  });
}

/** Asks, and returns what waits with the promise of its verdict. */
function ask(broker: ReturnType<typeof create>, changes: Partial<typeof prompt> = {}, signal = never()) {
  let pending: PendingPrompt | undefined;
  const verdict = broker.ask({ ...prompt, ...changes }, (shown) => (pending = shown), signal);
  return { pending: pending as PendingPrompt, verdict };
}

const onlyRow = () => {
  expect(rows.size).toBe(1);
  return [...rows.values()][0];
};

describe("a prompt that waits", () => {
  test("is pending with a short id and a description on one line", () => {
    const broker = create();
    const { pending } = ask(broker);
    expect(pending.id).toMatch(/^[a-z]\d[a-z]\d$/);
    expect(pending.description).toBe("Bash: git push");
    expect(pending.askedAt).toBe(clock.wallTime());
    expect(broker.pending).toEqual([pending]);
  });

  test("hides the values of secrets in its description", () => {
    const { pending } = ask(create({ DEPLOY_TOKEN: "hunter22-hunter22" }), {
      input: { command: "curl -H hunter22-hunter22" },
    });
    expect(pending.description).not.toContain("hunter22");
  });

  test("has the text that a tool is to write as its content", () => {
    const { pending } = ask(create(), { tool: "Write", input: { file_path: "/a", content: "one\ntwo" } as never });
    expect(pending.content).toMatchObject({ text: "one\ntwo", bytes: 7 });
  });

  test("is listed oldest first, under an id of its own", () => {
    const broker = create();
    const asked = Array.from({ length: 200 }, () => ask(broker).pending);
    expect(broker.pending).toEqual(asked);
    expect(new Set(asked.map(({ id }) => id)).size).toBe(200);
  });

  test("is recorded before it has a verdict", () => {
    ask(create());
    const { id: _id, ...row } = onlyRow() as Row;
    expect(row as unknown).toEqual({
      session: "user:ann",
      turn: "turn-1",
      tool: "Bash",
      input: '{"command":"git push"}',
      sender: "ann",
      askedAt: clock.wallTime(),
    });
  });
});

describe("a verdict", () => {
  test("that allows resolves the prompt, ends its time limit and is recorded", async () => {
    const broker = create();
    const { pending, verdict } = ask(broker);
    await clock.pass(1_000);
    expect(broker.answer(pending.id, { behavior: "allow", way: "chat", by: "ann" })).toBe(true);
    expect(await verdict).toMatchObject({ behavior: "allow", rule: null });
    expect(broker.pending).toEqual([]);
    expect(clock.timers).toBe(0);
    expect(onlyRow()).toMatchObject({ verdict: "allow", way: "chat", decidedBy: "ann", decidedAt: clock.wallTime() });
  });

  test("with a rule passes the rule on and records it", async () => {
    const broker = create();
    const { pending, verdict } = ask(broker);
    broker.answer(pending.id, { behavior: "allow", way: "control", by: null, rule: "Bash(git push *)" });
    expect((await verdict).rule).toBe("Bash(git push *)");
    expect(onlyRow()).toMatchObject({ rule: "Bash(git push *)", way: "control" });
  });

  test("that denies tells Claude why", async () => {
    const broker = create();
    const { pending, verdict } = ask(broker);
    broker.answer(pending.id, { behavior: "deny", way: "spoke", by: "ann" });
    expect(await verdict).toMatchObject({
      behavior: "deny",
      message: expect.stringContaining("another message"),
    });
  });

  test("on an id that does not wait changes nothing", async () => {
    const broker = create();
    const { pending, verdict } = ask(broker);
    expect(broker.answer("a1b2", { behavior: "deny", way: "control", by: null })).toBe(false);
    broker.answer(pending.id, { behavior: "allow", way: "control", by: null });
    expect(broker.answer(pending.id, { behavior: "deny", way: "control", by: null })).toBe(false);
    expect((await verdict).behavior).toBe("allow");
  });

  test("counts even when the permission log cannot be written", async () => {
    isLogBroken = true;
    const broker = create();
    const { pending, verdict } = ask(broker);
    broker.answer(pending.id, { behavior: "allow", way: "control", by: null });
    expect((await verdict).behavior).toBe("allow");
  });
});

describe("a prompt without an answer is denied", () => {
  test("when its time is up, and not before", async () => {
    const broker = create();
    const { verdict } = ask(broker);
    await clock.pass(TIMEOUT_MS - 1);
    expect(broker.pending).toHaveLength(1);
    await clock.pass(1);
    expect(await verdict).toMatchObject({ behavior: "deny", message: expect.stringContaining("in time") });
    expect(onlyRow()).toMatchObject({ verdict: "deny", way: "timeout", decidedBy: null });
  });

  test("when Claude no longer needs the verdict", async () => {
    const broker = create();
    const turn = new AbortController();
    const { verdict } = ask(broker, {}, turn.signal);
    turn.abort();
    expect((await verdict).behavior).toBe("deny");
    expect(broker.pending).toEqual([]);
    expect(clock.timers).toBe(0);
    expect(onlyRow()).toMatchObject({ verdict: "deny", way: "gone" });
  });

  test("without being shown when Claude no longer needs the verdict at the start", async () => {
    const { pending, verdict } = ask(create(), {}, AbortSignal.abort());
    expect(pending).toBeUndefined();
    expect((await verdict).behavior).toBe("deny");
    expect(onlyRow()).toMatchObject({ way: "gone" });
  });
});

test("a refused prompt never waits, and is recorded as one that no one could answer", () => {
  const broker = create();
  expect(broker.refuse(prompt)).toMatchObject({ behavior: "deny", rule: null });
  expect(broker.pending).toEqual([]);
  expect(onlyRow()).toMatchObject({ verdict: "deny", way: "nobody" });
});

test("records only the beginning of a long input", () => {
  create().refuse({ ...prompt, input: { command: "x".repeat(100_000) } });
  expect(onlyRow()?.input.length).toBe(4_000);
});

test("reads the rules that were granted in a session from the permission log", () => {
  expect(create().grantedRules("user:ann", 0)).toEqual(["Bash(git push *)"]);
});
