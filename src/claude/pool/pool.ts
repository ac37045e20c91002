/**
 * All agent processes of one server: starts them, finds them by their tokens, keeps them within the configured number
 * and memory, prewarms some, and stops those that are no longer needed.
 */
import { getLogger } from "@logtape/logtape";
import type { Config } from "../../config/schema.ts";
import { type Clock, systemClock } from "../../core/clock.ts";
import { RequestError, shuttingDown } from "../../core/errors.ts";
import { MEGABYTE } from "../../core/machine.ts";
import { type AgentProcess, NO_OWNER, type ProcessOwner } from "../agent-process.ts";
import type { LaunchSpec } from "../launch-spec.ts";
import type { Launcher } from "./launcher.ts";
import { measureTrees } from "./memory.ts";
import { MEASURE_MS, MemoryWatch } from "./memory-watch.ts";
import { ParkedProcesses } from "./parked.ts";
import { PrewarmedProcesses, type PrewarmSpec } from "./prewarmed.ts";
import { createProcessSlots } from "./slots.ts";

const log = getLogger(["synthesis", "pool"]);

/** A process is prewarmed only when no process and no turn has started for this long, in ms. */
const QUIET_MS = 1_000;
/** Between two searches for processes that have been idle for too long, in ms, at most. */
const MAX_IDLE_CHECK_MS = 60_000;

export interface Pool {
  /**
   * Starts a process as soon as there is a slot for it. Callers get slots in the order of their calls. For a caller that
   * waits, an idle process is stopped; a busy process never is, unless its turn waits for results of the client's tools.
   * @param signal ends the wait for a slot
   * @throws RequestError when the process cannot be started, or another `claude` has the Claude session open
   */
  start(spec: LaunchSpec, owner: ProcessOwner, signal: AbortSignal): Promise<AgentProcess>;
  /** Gives a prewarmed process, which has its own Claude session, to a new conversation; null when none is suitable. */
  adopt(spec: LaunchSpec, owner: ProcessOwner): AgentProcess | null;
  /** Says which processes the next conversations will probably need, most probable first. */
  expect(specs: readonly PrewarmSpec[]): void;
  /** A conversation's process has become idle or is parked, so its slot may be given to a caller that waits. */
  noteIdle(): void;
  /** A process could be started at once, possibly in place of an idle one. */
  readonly hasRoom: boolean;
  /** How many processes run. */
  readonly size: number;
  /** The processes that run. */
  readonly processes: readonly AgentProcess[];
  /** Calls the listener with each process that is started, at once. */
  onStart(listener: (process: AgentProcess) => void): void;
  /** How many of them have a connected plugin. */
  readonly connections: number;
  /** Stops all processes. Resolves when they have exited. */
  stopAll(): Promise<void>;
  /** Stops the idle processes of conversations. */
  stopIdle(): void;
  /** Kills all processes at once. New ones can be started. */
  killProcesses(): void;
  /** The same at the end of the server: no process can be started any more. */
  killAll(): void;
}

export interface PoolOptions {
  readonly config: Config;
  readonly launcher: Pick<Launcher, "start" | "findRival" | "engineFor" | "close">;
  readonly clock?: Clock;
  /** Measures the memory of processes and their descendants, in bytes by process id. */
  readonly measure?: typeof measureTrees;
}

export function createPool({ config, launcher, clock = systemClock, measure = measureTrees }: PoolOptions): Pool {
  const processes = new Set<AgentProcess>();
  const slots = createProcessSlots(config, processes, makeRoom);
  const prewarmed = new PrewarmedProcesses<AgentProcess>(config, launcher.engineFor);
  const memory = new MemoryWatch(measure, clock);
  const listeners = new Set<(process: AgentProcess) => void>();
  const parked = new ParkedProcesses(processes, clock, makeRoom);
  let stopping = false;
  const idleCheckMs = Math.min(MAX_IDLE_CHECK_MS, config.idleKillMs / 2);
  let cancelIdleCheck = clock.after(idleCheckMs, stopLongIdle);
  let cancelMeasuring = clock.after(MEASURE_MS, measureAll);
  let cancelPrewarming = () => {};

  /** Which idle process is stopped first: one for a request that named no conversation, then a prewarmed one. */
  const rank = (process: AgentProcess): number => (process.spec.choice.isIsolated ? 0 : prewarmed.has(process) ? 1 : 2);

  /** The idle processes in the order in which they are stopped; of one rank the longest idle first. */
  const evictable = () =>
    [...processes]
      .filter((process) => process.state === "ready" && !process.owner.isBusy())
      .sort((one, other) => rank(one) - rank(other) || one.lastUsedAt - other.lastUsedAt);

  async function measureAll(): Promise<void> {
    await memory.update(processes);
    if (stopping) return;
    keepWithinMemory();
    cancelMeasuring = clock.after(MEASURE_MS, measureAll);
  }

  /** Stops idle processes until the rest fits into the memory budget, and reports processes that are too large. */
  function keepWithinMemory(): void {
    const staying = new Set([...processes].filter(({ state }) => state !== "draining"));
    for (const process of evictable()) {
      if (staying.size === 1 || !slots.exceedsBudget(staying)) break;
      staying.delete(process);
      stopIdle(process, "to save memory");
    }
    for (const process of evictable()) {
      if ((process.memory ?? 0) <= config.processMemoryMb * MEGABYTE || !process.hasWorked) continue;
      log.info("claude has grown too large", { session: process.spec.sessionKey, pid: process.pid });
      process.reportOversized();
    }
    slots.admit();
  }

  function stopIdle(process: AgentProcess, why: string): void {
    log.info("idle claude stopped {why}", { session: process.spec.sessionKey, pid: process.pid, why });
    prewarmed.delete(process);
    void process.stop();
  }

  /** Stops processes that have been idle for `idleKillMs`. */
  function stopLongIdle(): void {
    cancelIdleCheck = clock.after(idleCheckMs, stopLongIdle);
    for (const process of evictable()) {
      if (clock.now() - process.lastUsedAt >= config.idleKillMs) stopIdle(process, "after its idle time");
    }
  }

  /**
   * Stops one idle process for each caller that waits, less those that are already stopping. If there are not enough, it
   * ends turns that wait for their clients.
   */
  function makeRoom(): void {
    const draining = [...processes].filter((process) => process.state === "draining").length;
    const missing = Math.max(0, slots.waiting - draining);
    const idle = evictable().slice(0, missing);
    for (const process of idle) stopIdle(process, "to make room");
    parked.release(missing - idle.length);
  }

  function cancelTimers(): void {
    stopping = true;
    cancelIdleCheck();
    cancelMeasuring();
    cancelPrewarming();
    parked.close();
  }

  function releaseSlot(): void {
    slots.release();
    planPrewarming();
  }

  /** Starts a process in a slot that has been acquired. The slot is released when the process exits. */
  function launch(spec: LaunchSpec, owner: ProcessOwner): AgentProcess {
    try {
      if (stopping) throw shuttingDown();
      const process = launcher.start(spec, owner);
      processes.add(process);
      const release = () => {
        processes.delete(process);
        // We did not stop it: it failed to start or was killed. No similar process is prewarmed until a conversation
        // has started one.
        if (prewarmed.has(process)) prewarmed.forget(process);
        prewarmed.delete(process);
        releaseSlot();
      };
      process.exited.then(release, release);
      for (const listener of listeners) listener(process);
      return process;
    } catch (error) {
      releaseSlot();
      throw error;
    }
  }

  /** Prewarms a missing process as soon as the machine is quiet. */
  function planPrewarming(): void {
    cancelPrewarming();
    if (!stopping && config.spares > 0) cancelPrewarming = clock.after(QUIET_MS, prewarm);
  }

  function prewarm(): void {
    // The process that is starting plans again when it is ready.
    if ([...processes].some(({ state }) => state === "starting")) return;
    const { missing, surplus } = prewarmed.plan();
    for (const process of surplus) stopIdle(process, "because no conversation is expected to need it");
    if (!missing || !slots.acquireForPrewarming()) return;
    try {
      const sessionKey = `spare:${crypto.randomUUID()}`;
      const claudeSession = crypto.randomUUID();
      const process = launch({ ...missing, sessionKey, claudeSession, resume: false, rules: [] }, NO_OWNER);
      prewarmed.add(process);
      process.ready.then(planPrewarming, () => {});
    } catch (error) {
      prewarmed.drop(missing);
      log.warning("spare not started: {error}", { error });
    }
  }

  const killProcesses = () => {
    for (const process of processes) process.kill();
  };

  return {
    async start(spec, owner, signal) {
      await slots.acquire(signal);
      try {
        const rival = spec.resume ? await launcher.findRival(spec.claudeSession) : null;
        if (rival !== null) throw sessionInUse(rival);
      } catch (error) {
        releaseSlot();
        throw error;
      }
      const process = launch(spec, owner);
      const noteReady = () => {
        if (!spec.resume && !spec.choice.isIsolated) prewarmed.noteStarted(spec);
        planPrewarming();
      };
      process.ready.then(noteReady, () => {});
      return process;
    },
    adopt(spec, owner) {
      const process = spec.choice.isIsolated ? null : prewarmed.take(spec);
      if (!process) return null;
      process.assignTo(spec, owner);
      prewarmed.noteStarted(spec);
      planPrewarming();
      return process;
    },
    expect: (specs) => {
      for (const spec of specs.toReversed()) prewarmed.noteStarted(spec);
      planPrewarming();
    },
    noteIdle: () => {
      if (slots.waiting > 0) makeRoom();
      planPrewarming();
    },
    get hasRoom() {
      return slots.areFree || (slots.waiting === 0 && (evictable().length > 0 || parked.areReleasable));
    },
    get size() {
      return processes.size;
    },
    get processes() {
      return [...processes];
    },
    onStart: (listener) => {
      listeners.add(listener);
    },
    get connections() {
      return [...processes].filter((process) => process.connected).length;
    },
    async stopAll() {
      cancelTimers();
      await Promise.all([launcher.close(), ...[...processes].map((process) => process.stop())]);
    },
    stopIdle: () => {
      for (const process of evictable()) if (!prewarmed.has(process)) stopIdle(process, "since the node drains");
    },
    killProcesses,
    killAll: () => {
      cancelTimers();
      void launcher.close();
      killProcesses();
    },
  };
}

const sessionInUse = (pid: number) =>
  new RequestError(
    "session_in_use",
    `Another claude (pid ${pid}) has the Claude session of this conversation open, perhaps in a terminal. Two at once ` +
      "would damage the transcript. Close the other one and send the message again.",
    { retryAfter: 30 },
  );
