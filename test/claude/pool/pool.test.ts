import { describe, expect, test } from "bun:test";
import type { AgentProcess, ProcessOwner, ProcessState } from "../../../src/claude/agent-process.ts";
import type { LaunchSpec } from "../../../src/claude/launch-spec.ts";
import { createPool } from "../../../src/claude/pool/pool.ts";
import { pathsFor } from "../../../src/config/paths.ts";
import type { Config } from "../../../src/config/schema.ts";
import { defaults } from "../../../src/config/schema.ts";
import { RequestError } from "../../../src/core/errors.ts";
import { MEGABYTE } from "../../../src/core/machine.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { launchSpec } from "../launch-spec.ts";

const QUIET_MS = 1_000;
const MEASURE_MS = 5_000;
const never = new AbortController().signal;

/** The part of a process that the pool uses. It becomes ready and exits when the test says so. */
class FakeProcess {
  readonly engine = "interactive";
  static #nextPid = 1;
  readonly pid = FakeProcess.#nextPid++;
  readonly bridgeToken = `bridge-${this.pid}`;
  readonly hookToken = `hook-${this.pid}`;
  readonly #ready = Promise.withResolvers<void>();
  readonly #exited = Promise.withResolvers<void>();
  readonly ready = this.#ready.promise;
  readonly exited = this.#exited.promise;
  state: ProcessState = "starting";
  memory: number | null = null;
  hasWorked = true;
  connected = true;
  oversizedReports = 0;
  lastOutputAt: number;

  constructor(
    public spec: LaunchSpec,
    public owner: ProcessOwner,
    public lastUsedAt: number,
  ) {
    this.lastOutputAt = lastUsedAt;
  }

  get isUsable(): boolean {
    return this.state === "starting" || this.state === "ready";
  }

  becomeReady(): void {
    this.state = "ready";
    this.#ready.resolve();
  }

  exit(): void {
    this.state = "exited";
    this.#exited.resolve();
  }

  async stop(): Promise<void> {
    this.state = "draining";
  }

  kill(): void {
    this.exit();
  }

  assignTo({ sessionKey }: LaunchSpec, owner: ProcessOwner): void {
    this.spec = { ...this.spec, sessionKey };
    this.owner = owner;
  }

  reportOversized(): void {
    this.oversizedReports += 1;
  }
}

const ownerWith = (isBusy: boolean): ProcessOwner => ({
  isBusy: () => isBusy,
  parkedSince: () => null,
  releaseParked: () => {},
  onEvent: () => {},
  onPermission: async () => ({ behavior: "deny", message: "", rule: null }),
  onOversized: () => {},
});
const idleOwner = ownerWith(false);
const busyOwner = ownerWith(true);

/** A pool with fake processes and a clock that the test moves. */
function createTestPool(settings: Partial<Config> = {}) {
  const config = { ...defaults(pathsFor("/nowhere")), maxProcesses: 2, memoryMb: 10_000, spares: 0, ...settings };
  const clock = new ManualClock();
  const started: FakeProcess[] = [];
  const rivals = new Map<string, number>();
  let startError: Error | null = null;
  const launcher = {
    start: (spec: LaunchSpec, owner: ProcessOwner) => {
      if (startError) throw startError;
      const process = new FakeProcess(spec, owner, clock.now());
      started.push(process);
      return process as unknown as AgentProcess;
    },
    findRival: async (claudeSession: string) => rivals.get(claudeSession) ?? null,
    engineFor: () => "interactive" as const,
    close: async () => {},
  };
  const memory = new Map<number, number>();
  const measured: number[][] = [];
  const measure = async (pids: readonly number[]) => {
    measured.push([...pids]);
    return memory;
  };
  const pool = createPool({ config, launcher, clock, measure });
  return {
    pool,
    clock,
    started,
    rivals,
    /** The process ids of each measurement. */
    measured,
    failStarts: (error: Error | null) => {
      startError = error;
    },
    /** What the next measurement finds, in megabytes. */
    useMemory: (process: FakeProcess, megabytes: number) => void memory.set(process.pid, megabytes * MEGABYTE),
    /** Starts a process that is ready. */
    startReady: async (sessionKey: string, owner = idleOwner): Promise<FakeProcess> => {
      await pool.start(launchSpec({ sessionKey }), owner, never);
      const process = started.at(-1) as FakeProcess;
      process.becomeReady();
      await clock.pass(1);
      return process;
    },
  };
}

const keys = (processes: readonly FakeProcess[]) => processes.map(({ spec }) => spec.sessionKey);

describe("start", () => {
  test("stops the process that has been idle longest, and starts the next one when it has exited", async () => {
    const { pool, startReady, started, clock } = createTestPool({ maxProcesses: 2 });
    const [first, second] = [await startReady("first"), await startReady("second")];
    first.lastUsedAt = clock.now() + 10;
    const third = pool.start(launchSpec({ sessionKey: "third" }), idleOwner, never);
    await clock.pass(0);
    expect([first.state, second.state]).toEqual(["ready", "draining"]);
    expect(keys(started)).toEqual(["first", "second"]);

    second.exit();
    await third;
    expect(keys(started)).toEqual(["first", "second", "third"]);
  });

  test("waits a second at most when clients of unnamed chats send no results, however many there are", async () => {
    const { pool, started, clock } = createTestPool({ maxProcesses: 8 });
    for (let at = 0; at < 8; at += 1) {
      const since = clock.now();
      const owner = {
        ...busyOwner,
        parkedSince: () => since,
        releaseParked: () => void started[at]?.exit(),
      };
      await pool.start(
        launchSpec({ sessionKey: `chat ${at}`, isUnnamed: true, choice: { isIsolated: true } }),
        owner,
        never,
      );
      started[at]?.becomeReady();
    }
    expect(pool.hasRoom).toBe(true);
    const next = pool.start(launchSpec({ sessionKey: "next" }), idleOwner, never);
    await clock.pass(999);
    expect(started).toHaveLength(8);
    await clock.pass(1);
    await next;
    expect(keys(started).at(-1)).toBe("next");
    expect(started.filter(({ state }) => state === "exited")).toHaveLength(1);
    pool.killAll();
  });

  test("never stops a busy process", async () => {
    const { pool, startReady, clock } = createTestPool({ maxProcesses: 1 });
    const busy = await startReady("busy", busyOwner);
    void pool.start(launchSpec(), idleOwner, never);
    await clock.pass(60_000);

    expect(busy.state).toBe("ready");
    expect(pool.hasRoom).toBe(false);
  });

  test("stops a process that becomes idle while a caller waits", async () => {
    const { pool, startReady, clock } = createTestPool({ maxProcesses: 1 });
    const process = await startReady("a", busyOwner);
    void pool.start(launchSpec(), idleOwner, never);
    process.owner = idleOwner;
    pool.noteIdle();
    await clock.pass(0);

    expect(process.state).toBe("draining");
  });

  test("stops one process per waiting caller", async () => {
    const { pool, startReady, clock } = createTestPool({ maxProcesses: 3 });
    const processes = [await startReady("a"), await startReady("b"), await startReady("c")];
    void pool.start(launchSpec(), idleOwner, never);
    void pool.start(launchSpec(), idleOwner, never);
    pool.noteIdle();
    await clock.pass(0);

    expect(processes.map(({ state }) => state)).toEqual(["draining", "draining", "ready"]);
  });

  test("fails a caller whose signal aborts while it waits", async () => {
    const { pool, startReady, started } = createTestPool({ maxProcesses: 1 });
    await startReady("busy", busyOwner);
    const abort = new AbortController();
    const waiting = pool.start(launchSpec(), idleOwner, abort.signal);
    abort.abort(new Error("the client disconnected"));

    await expect(waiting).rejects.toThrow("the client disconnected");
    expect(started).toHaveLength(1);
  });

  test("releases the slot of a process that could not be started", async () => {
    const { pool, startReady, failStarts } = createTestPool({ maxProcesses: 1 });
    failStarts(new RequestError("claude_not_found", "no such program"));
    await expect(pool.start(launchSpec(), idleOwner, never)).rejects.toMatchObject({ code: "claude_not_found" });

    failStarts(null);
    expect(pool.hasRoom).toBe(true);
    await startReady("next");
  });

  test("refuses to resume a Claude session that another process has open", async () => {
    const { pool, rivals, started } = createTestPool({ maxProcesses: 1 });
    const spec = launchSpec({ resume: true });
    rivals.set(spec.claudeSession, 4711);

    await expect(pool.start(spec, idleOwner, never)).rejects.toMatchObject({ code: "session_in_use" });
    expect(started).toEqual([]);
    expect(pool.hasRoom).toBe(true);
  });

  test("fails once the server stops", async () => {
    const { pool, startReady } = createTestPool();
    const process = await startReady("a");
    await pool.stopAll();
    expect(process.state).toBe("draining");

    await expect(pool.start(launchSpec(), idleOwner, never)).rejects.toMatchObject({ code: "shutting_down" });
  });

  test("leaves no timer running after the server has stopped", async () => {
    const { pool, startReady, clock } = createTestPool({ spares: 1 });
    const process = await startReady("a");
    await pool.stopAll();
    process.exit();
    await clock.pass(0);

    expect(clock.timers).toBe(0);
  });
});

describe("an idle process", () => {
  test("is stopped after its idle time", async () => {
    const { startReady, clock } = createTestPool({ idleKillMs: 100_000 });
    const [idle, busy] = [await startReady("idle"), await startReady("busy", busyOwner)];
    await clock.pass(90_000);
    expect(idle.state).toBe("ready");
    await clock.pass(60_000);

    expect([idle.state, busy.state]).toEqual(["draining", "ready"]);
  });

  test("is stopped while all processes together exceed the memory budget", async () => {
    const { startReady, useMemory, clock } = createTestPool({ maxProcesses: 3, memoryMb: 1_000 });
    const [first, second] = [await startReady("first"), await startReady("second")];
    for (const process of [first, second]) useMemory(process, 600);
    await clock.pass(MEASURE_MS);

    expect([first.state, second.state]).toEqual(["draining", "ready"]);
  });

  test("is kept if it is the only one, however large it is", async () => {
    const { startReady, useMemory, clock } = createTestPool({ memoryMb: 1_000, processMemoryMb: 5_000 });
    const process = await startReady("a");
    useMemory(process, 2_000);
    await clock.pass(MEASURE_MS);

    expect([process.state, process.oversizedReports]).toEqual(["ready", 0]);
  });

  test("is reported to its owner when it exceeds its own limit, unless it is new", async () => {
    const { startReady, useMemory, clock } = createTestPool({ processMemoryMb: 500 });
    const [grown, fresh] = [await startReady("grown"), await startReady("fresh")];
    fresh.hasWorked = false;
    for (const process of [grown, fresh]) useMemory(process, 600);
    await clock.pass(MEASURE_MS);

    expect([grown.oversizedReports, fresh.oversizedReports]).toEqual([1, 0]);
  });
});

describe("memory", () => {
  test("is measured while a process works and once after, and then only every ten minutes", async () => {
    const { startReady, measured, clock } = createTestPool();
    const [idle, busy] = [await startReady("idle"), await startReady("busy", busyOwner)];
    await clock.pass(3 * MEASURE_MS);
    measured.length = 0;
    await clock.pass(3 * MEASURE_MS);
    expect(measured).toEqual([[busy.pid], [busy.pid], [busy.pid]]);

    busy.owner = idleOwner;
    busy.lastOutputAt = clock.now();
    await clock.pass(4 * MEASURE_MS);
    measured.length = 0;
    await clock.pass(9 * 60_000);
    expect(measured).toEqual([]);
    await clock.pass(60_000);
    expect(measured.flat()).toEqual(expect.arrayContaining([idle.pid, busy.pid]));
  });
});

describe("a prewarmed process", () => {
  test("is started like the last conversation's, once the machine is quiet", async () => {
    const { startReady, started, clock } = createTestPool({ spares: 1 });
    const conversation = await startReady("a");
    expect(started).toHaveLength(1);
    await clock.pass(QUIET_MS);

    expect(started).toHaveLength(2);
    const spare = started[1] as FakeProcess;
    expect(spare.spec).toMatchObject({ choice: conversation.spec.choice, resume: false, rules: [] });
    expect(spare.spec.sessionKey).toStartWith("spare:");
    expect(spare.spec.claudeSession).not.toBe(conversation.spec.claudeSession);
  });

  test("is started for the conversations that the server expects", async () => {
    const { pool, started, clock } = createTestPool({ spares: 1 });
    pool.expect([launchSpec({ choice: { model: "opus" } }), launchSpec({ choice: { model: "haiku" } })]);
    await clock.pass(QUIET_MS);

    expect(started.map(({ spec }) => spec.choice.model)).toEqual(["opus"]);
  });

  test("is not started while another process starts", async () => {
    const { pool, started, clock } = createTestPool({ spares: 1, maxProcesses: 4 });
    pool.expect([launchSpec()]);
    await pool.start(launchSpec(), idleOwner, never);
    await clock.pass(QUIET_MS);
    expect(started).toHaveLength(1);

    started[0]?.becomeReady();
    await clock.pass(QUIET_MS);
    expect(started).toHaveLength(2);
  });

  test("is given to a conversation, which becomes its owner", async () => {
    const { pool, started, clock } = createTestPool({ spares: 1 });
    pool.expect([launchSpec()]);
    await clock.pass(QUIET_MS);
    const [spare] = started;
    expect(spare?.owner.isBusy()).toBe(false);

    const adopted = pool.adopt(launchSpec({ sessionKey: "a" }), busyOwner);
    expect(adopted).toBe(spare as never);
    expect([spare?.spec.sessionKey, spare?.owner.isBusy()]).toEqual(["a", true]);
    expect(pool.adopt(launchSpec({ sessionKey: "b" }), busyOwner)).toBeNull();
  });

  test("is stopped before any conversation's process", async () => {
    const { pool, startReady, started, clock } = createTestPool({ spares: 1, maxProcesses: 2 });
    const conversation = await startReady("a");
    await clock.pass(QUIET_MS);
    const spare = started[1] as FakeProcess;
    spare.becomeReady();
    spare.lastUsedAt = clock.now() + 1_000;
    void pool.start(launchSpec({ choice: { model: "opus" } }), idleOwner, never);
    await clock.pass(0);

    expect([conversation.state, spare.state]).toEqual(["ready", "draining"]);
  });

  test("is not started again after one exited by itself, until a conversation starts one", async () => {
    const { startReady, started, clock } = createTestPool({ spares: 1, maxProcesses: 4 });
    await startReady("a");
    await clock.pass(QUIET_MS);
    started[1]?.exit();
    await clock.pass(10 * QUIET_MS);
    expect(started).toHaveLength(2);

    await startReady("b");
    await clock.pass(QUIET_MS);
    expect(started).toHaveLength(4);
  });

  test("is stopped when the newest conversations were started differently", async () => {
    const { pool, started, clock } = createTestPool({ spares: 1, maxProcesses: 4 });
    pool.expect([launchSpec({ choice: { model: "haiku" } })]);
    await clock.pass(QUIET_MS);
    started[0]?.becomeReady();
    pool.expect([launchSpec({ choice: { model: "opus" } })]);
    await clock.pass(QUIET_MS);

    expect(started.map(({ spec, state }) => [spec.choice.model, state])).toEqual([
      ["haiku", "draining"],
      ["opus", "starting"],
    ]);
  });
});
