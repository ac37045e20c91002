/** How a conversation gets a process that is free for a turn: the running one, a prewarmed one, or a new one. */
import { beforeEach, describe, expect, test } from "bun:test";
import type { AgentProcess, ProcessOwner } from "../../src/claude/agent-process.ts";
import { BootFailure } from "../../src/claude/boot-failure.ts";
import { launchHash } from "../../src/claude/launch-hash.ts";
import type { LaunchChoice, LaunchSpec } from "../../src/claude/launch-spec.ts";
import { pathsFor } from "../../src/config/paths.ts";
import { defaults } from "../../src/config/schema.ts";
import { DeliveredTurns } from "../../src/conversation/delivered-turns.ts";
import { launchChoice } from "../../src/conversation/launch-choice.ts";
import { type LeaseHolder, ProcessLease } from "../../src/conversation/process-lease.ts";
import type { Identity } from "../../src/intake/identity.ts";
import type { TurnRequest } from "../../src/intake/turn-request.ts";
import type { SessionRow } from "../../src/store/schema.ts";
import type { HookBody } from "../../src/wire/hooks.ts";
import { ManualClock } from "../support/manual-clock.ts";

const config = defaults(pathsFor("/nowhere"));
const never = new AbortController().signal;

/** A process without a Claude. It exits as soon as it is stopped. */
class FakeProcess {
  readonly pid = 1;
  state = "ready";
  connected = true;
  isShared = false;
  status: { status: "idle" | "busy" } | null = null;
  ready: Promise<void> = Promise.resolve();
  escapes = 0;
  constructor(
    readonly spec: LaunchSpec,
    readonly owner: ProcessOwner,
  ) {}
  get asProcess(): AgentProcess {
    return this as unknown as AgentProcess;
  }
  get successor(): LaunchSpec {
    return { ...this.spec, resume: true };
  }
  takeNotes = () => launchNotes;
  isConnected = async () => this.connected;
  adapt = async (choice: LaunchChoice) => Bun.deepEquals(choice, this.spec.choice);
  interrupt() {
    this.escapes += 1;
  }
  async stop() {
    if (this.state !== "exited") {
      this.state = "exited";
      this.owner.onEvent(this.asProcess, { type: "exit", exit: { code: 0, signal: null } });
    }
    return { code: 0, signal: null };
  }
  emitHook(hook_event_name: string, prompt_id: string) {
    const hook = { hook_event_name, session_id: "s", transcript_path: "/t", prompt_id, prompt: "typed" } as HookBody;
    this.owner.onEvent(this.asProcess, { type: "hook", hook });
  }
}

/** A conversation's record in memory. */
class FakeRecord {
  startedAt = 0;
  delivered = new DeliveredTurns();
  path: string | null = null;
  renewals = 0;
  adopted: string | null = null;
  transcript = async () => this.path;
  adopt(claudeSession: string) {
    this.adopted = claudeSession;
  }
  renew = () => {
    this.renewals += 1;
    this.path = null;
    this.delivered = new DeliveredTurns();
    return session({ claudeSession: `session-${this.renewals + 1}` });
  };
}

const deliveredTurn = (answered: boolean) => ({
  turn: "t",
  traceId: null,
  dropped: 0,
  history: [],
  exchanges: [{ users: ["u"], answer: answered ? "a" : null }],
  hadHistory: false,
  volatile: null,
  answered,
  truncation: null,
  hasFailed: false,
});

function session(changes: Partial<SessionRow> = {}): SessionRow {
  const row = { key: "user:ann", claudeSession: "session-1", source: "user", workspace: "/w", model: null };
  const whole = { ...row, effort: null, systemPrompt: null, ...changes } as SessionRow;
  return { ...whole, launchHash: launchHash(launchChoice(whole), config) };
}

const request = (hasHistory = false) =>
  ({
    input: { hasHistory },
    workspace: { path: "/w", trusted: true },
    offer: { catalogue: new Map(), note: null, isParallel: true },
  }) as unknown as TurnRequest;

let record: FakeRecord;
let started: FakeProcess[];
/** The Claude session of a prewarmed process; null when there is none. */
let spareSession: string | null;
/** What each process reports about its launch. */
let launchNotes: string[];
let rules: string[];
let hasRoom: boolean;
let idleNotes: number;
let isServing: boolean;
let events: string[];
let changes: (() => Promise<void>)[];
/** What happens to the next process that starts, before it is ready. */
let bootFailures: (Error | null)[];
let clock: ManualClock;
let lease: ProcessLease;

beforeEach(() => {
  record = new FakeRecord();
  started = [];
  spareSession = null;
  launchNotes = [];
  rules = [];
  hasRoom = true;
  idleNotes = 0;
  isServing = true;
  events = [];
  changes = [];
  bootFailures = [];
  clock = new ManualClock();
  lease = create();
});

function create(source: Identity["source"] = "user"): ProcessLease {
  const holder: LeaseHolder = {
    parkedSince: () => null,
    releaseParked: () => {},
    isServing: () => isServing,
    isOwnMessage: () => false,
    onEvent: (_process, { type }) => void events.push(type),
    onPermission: async () => ({ behavior: "deny", message: "", rule: null }),
    betweenTurns: (change) => void changes.push(change),
  };
  return new ProcessLease(
    { key: "user:ann", source, agent: null, chat: null, affinity: null },
    {
      config,
      pool: {
        start: async (spec, owner) => {
          const process = new FakeProcess(spec, owner);
          const failure = bootFailures.shift();
          if (failure) {
            process.ready = Promise.reject(failure);
            process.ready.catch(() => {});
          }
          started.push(process);
          return process.asProcess;
        },
        adopt: (spec, owner) =>
          spareSession === null ? null : new FakeProcess({ ...spec, claudeSession: spareSession }, owner).asProcess,
        noteIdle: () => {
          idleNotes += 1;
        },
        get hasRoom() {
          return hasRoom;
        },
      },
      clock,
      permissions: { grantedRules: () => rules },
      record,
    },
    holder,
  );
}

const acquire = (row = session(), signal = never, asked = request()) => lease.acquire(asked, row, signal);
const newest = () => started.at(-1) as FakeProcess;

describe("a conversation without a process", () => {
  test("starts one for a new Claude session", async () => {
    expect(await acquire()).toMatchObject({ origin: "cold", claudeSession: "session-1", notices: [] });
    expect(newest().spec).toMatchObject({ resume: false, sessionKey: "user:ann", trusted: true });
  });

  test("resumes the Claude session when it has a transcript", async () => {
    record.path = "/transcript";
    expect(await acquire()).toMatchObject({ origin: "resumed", claudeSession: "session-1" });
    expect(newest().spec.resume).toBe(true);
  });

  test("adopts a prewarmed process with that process's Claude session", async () => {
    spareSession = "session-of-spare";
    expect(await acquire()).toMatchObject({ origin: "spare", claudeSession: "session-of-spare" });
    expect(record.adopted).toBe("session-of-spare");
    expect(started).toEqual([]);
  });

  test("adopts none when it has a transcript to resume", async () => {
    spareSession = "session-of-spare";
    record.path = "/transcript";
    expect(await acquire()).toMatchObject({ origin: "resumed" });
  });

  test("adopts none when users have allowed rules, since those are launch options", async () => {
    spareSession = "session-of-spare";
    rules = ["Bash(git push *)"];
    expect(await acquire()).toMatchObject({ origin: "cold" });
    expect(newest().spec.rules).toEqual(rules);
  });

  test.each([
    ["user", ["No plugin was loaded."]],
    ["one-shot", []],
  ] as const)(
    "passes on what the process reports about its launch to a client of source %s: %j",
    async (source, notices) => {
      launchNotes = ["No plugin was loaded."];
      lease = create(source);
      expect((await acquire())?.notices).toEqual([...notices]);
    },
  );
});

describe("a running process", () => {
  test("serves the next turn as it is", async () => {
    await acquire();
    expect(await acquire()).toMatchObject({ process: newest(), origin: "warm", notices: [] });
    expect(started).toHaveLength(1);
  });

  const unsuitable: [why: string, change: () => SessionRow | undefined][] = [
    ["its launch options have changed", () => session({ model: "opus" })],
    ["the conversation has another Claude session", () => session({ claudeSession: "session-2" })],
    ["another Claude Code has opened its session", () => void Object.assign(newest(), { isShared: true })],
    ["its plugin is not connected", () => void Object.assign(newest(), { connected: false })],
    ["it is stopping", () => void Object.assign(newest(), { state: "draining" })],
  ];
  test.each(unsuitable)("is stopped and replaced when %s", async (_why, change) => {
    await acquire();
    const first = newest();
    record.path = "/transcript";
    const row = change() ?? session();
    expect(await acquire(row)).toMatchObject({ origin: "resumed" });
    expect(first.state).toBe("exited");
    expect(started).toHaveLength(2);
  });

  test("is not replaced for a client that disconnects while it waits", async () => {
    await acquire();
    newest().emitHook("UserPromptSubmit", "typed-1");
    const client = new AbortController();
    const leased = acquire(session(), client.signal);
    client.abort();
    expect(await leased).toBeNull();
    expect(newest().state).toBe("ready");
  });

  test("is forgotten when it exits, and the conversation learns of it", async () => {
    await acquire();
    await newest().stop();
    expect(lease.process).toBeNull();
    expect(events).toEqual(["exit"]);
  });
});

describe("a Claude session whose transcript is missing", () => {
  test("is replaced by a new one, and the client gets a notice that Claude has forgotten", async () => {
    record.delivered = new DeliveredTurns([deliveredTurn(true)]);
    const leased = await acquire();
    expect(leased).toMatchObject({ origin: "cold", claudeSession: "session-2" });
    expect(leased?.notices).toEqual([expect.stringContaining("no longer knows")]);
  });

  test("needs no notice when the client sends the history", async () => {
    record.delivered = new DeliveredTurns([deliveredTurn(true)]);
    expect((await acquire(session(), never, request(true)))?.notices).toEqual([]);
  });

  test("needs no notice when Claude had answered nothing in it", async () => {
    record.delivered = new DeliveredTurns([deliveredTurn(false)]);
    expect(await acquire()).toMatchObject({ claudeSession: "session-2", notices: [] });
  });

  test("is also replaced when Claude Code has the file and cannot resume it", async () => {
    record.path = "/transcript";
    record.delivered = new DeliveredTurns([deliveredTurn(true)]);
    bootFailures = [new BootFailure("session_not_found", "No conversation found.")];
    const leased = await acquire();
    expect(started.map(({ spec }) => [spec.claudeSession, spec.resume])).toEqual([
      ["session-1", true],
      ["session-2", false],
    ]);
    expect(leased?.notices).toEqual([expect.stringContaining("no longer knows")]);
  });
});

test("fails when the process does not become ready for another reason", async () => {
  record.path = "/transcript";
  bootFailures = [new BootFailure("timeout", "Claude Code was not ready in time.")];
  expect(acquire()).rejects.toThrow("not ready in time");
});

describe("an external prompt", () => {
  test("keeps the process busy, and its end is reported to the pool when no request is served", async () => {
    await acquire();
    isServing = false;
    newest().emitHook("UserPromptSubmit", "typed-1");
    expect(lease.isBusy()).toBe(true);
    newest().emitHook("Stop", "typed-1");
    expect(lease.isBusy()).toBe(false);
    expect(idleNotes).toBe(1);
  });

  test("is waited for before the next turn", async () => {
    await acquire();
    newest().emitHook("UserPromptSubmit", "typed-1");
    let isFree = false;
    const leased = acquire().finally(() => {
      isFree = true;
    });
    await Bun.sleep(1);
    expect(isFree).toBe(false);
    newest().emitHook("Stop", "typed-1");
    expect(await leased).toMatchObject({ origin: "warm" });
  });

  test("that takes longer than a turn may take ends with the process", async () => {
    await acquire();
    const first = newest();
    record.path = "/transcript";
    first.emitHook("UserPromptSubmit", "typed-1");
    const leased = acquire();
    await clock.pass(config.turnTimeoutMs - 1);
    expect(first.state).toBe("ready");
    await clock.pass(1);
    expect(await leased).toMatchObject({ origin: "resumed" });
    expect(first.state).toBe("exited");
    expect(clock.timers).toBe(0);
  });

  test("ends when Claude reports that it is idle, since no hook reports an interruption at the terminal", async () => {
    await acquire();
    newest().emitHook("UserPromptSubmit", "typed-1");
    newest().status = { status: "idle" };
    newest().owner.onEvent(newest().asProcess, { type: "status" });
    expect(lease.hasExternalPrompt).toBe(false);
  });

  test("is interrupted with Escape while Claude is busy with it", async () => {
    await acquire();
    expect(lease.interruptExternalPrompt()).toBe(false);
    newest().emitHook("UserPromptSubmit", "typed-1");
    newest().status = { status: "busy" };
    expect(lease.interruptExternalPrompt()).toBe(true);
    expect(newest().escapes).toBe(1);
  });
});

describe("a process that uses too much memory", () => {
  const restart = async () => {
    const [change] = changes.splice(0);
    await change?.();
  };

  test("is restarted between two turns, and resumes its session", async () => {
    await acquire();
    const first = newest();
    record.path = "/transcript";
    lease.onOversized(first.asProcess);
    expect(first.state).toBe("ready");
    await restart();
    expect(first.state).toBe("exited");
    expect(newest().spec.resume).toBe(true);
    expect(lease.process).toBe(newest().asProcess);
  });

  test("is only stopped when there is no room for another process", async () => {
    await acquire();
    record.path = "/transcript";
    hasRoom = false;
    lease.onOversized(newest().asProcess);
    await restart();
    expect(started).toHaveLength(1);
    expect(lease.process).toBeNull();
  });

  test("is left alone when it has been replaced meanwhile", async () => {
    await acquire();
    const first = newest();
    lease.onOversized(first.asProcess);
    record.path = "/transcript";
    await acquire(session({ model: "opus" }));
    await restart();
    expect(newest().state).toBe("ready");
    expect(started).toHaveLength(2);
  });
});
