/** All running claudes: starts them, finds them by their tokens, makes room for others, boots some ahead, ends them. */
import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import type { Paths } from "../../config/paths.ts";
import type { Config } from "../../config/schema.ts";
import { RequestError, shuttingDown } from "../../core/errors.ts";
import { MEGABYTE } from "../../core/machine.ts";
import { digest } from "../../core/tokens.ts";
import { denyRules } from "../deny-rules.ts";
import type { LaunchSpec } from "../interactive/launch-spec.ts";
import { ClaudeProcess, NO_OWNER, type ProcessOwner } from "../interactive/process.ts";
import type { ManagedSettings } from "../managed-settings.ts";
import { SessionFolder } from "../session-file.ts";
import { measureTrees } from "./memory.ts";
import { PrewarmedProcesses, type PrewarmSpec } from "./prewarmed.ts";
import { createProcessSlots } from "./slots.ts";

const log = getLogger(["synthesis", "pool"]);

/** Between two measurements of all that run, in ms. */
const MEASURE_MS = 5_000;
/** The machine counts as quiet, and a spare may be booted, when for so long, in ms, no claude and no turn has begun. */
const QUIET_MS = 1_000;

export interface Pool {
  /**
   * Starts a claude as soon as there is a place for it: those who ask are served in turn, and the claude
   * that has been idle longest is ended for them. A busy one never is.
   * @param signal ends the wait for a place
   * @throws ApiError 503 when claude cannot be started, or another one has the session open
   */
  start(spec: LaunchSpec, owner: ProcessOwner, signal: AbortSignal): Promise<ClaudeProcess>;
  /** A spare for a conversation that begins, with a claude session of its own; null when none suits. */
  adopt(spec: LaunchSpec, owner: ProcessOwner): ClaudeProcess | null;
  /** How conversations to come are likely to be started, the likeliest first. */
  expect(specs: readonly PrewarmSpec[]): void;
  /** Told by a conversation whose claude has nothing to do: it may be ended for somebody who waits. */
  noteIdle(): void;
  /** A claude could be started at once, though an idle one may have to end for it. */
  readonly hasRoom: boolean;
  /** The process whose plugin brings this token. */
  byBridgeToken(token: string | null): ClaudeProcess | undefined;
  /** The process whose hooks bring this token. */
  byHookToken(token: string | null): ClaudeProcess | undefined;
  /** How many processes run. */
  readonly size: number;
  /** How many of them have their plugin connected. */
  readonly connections: number;
  /** Ends them all; resolves when they are gone. */
  stopAll(): Promise<void>;
  /** Ends them all at once. */
  killAll(): void;
}

export interface PoolOptions {
  readonly config: Config;
  readonly paths: Paths;
  /** The port the server listens on. */
  readonly port: () => number;
  readonly managed: ManagedSettings;
  /** How this program is started again, for the plugin: its executable and first arguments. */
  readonly program: readonly string[];
  readonly env: Record<string, string | undefined>;
}

export function createPool({ config, paths, port, managed, program, env }: PoolOptions): Pool {
  const deny = denyRules(paths);
  const processes = new Set<ClaudeProcess>();
  /** By the digests of their tokens. */
  const byBridge = new Map<string, ClaudeProcess>();
  const byHook = new Map<string, ClaudeProcess>();
  const sessionFolder = new SessionFolder(env);
  const slots = createProcessSlots(config, processes, makeRoom);
  let stopping = false;
  const sweep = setInterval(endUnused, Math.min(60_000, config.idleKillMs / 2));
  const spares = new PrewarmedProcesses<ClaudeProcess>(config);
  let quiet: Timer | undefined;
  let measuring = setTimeout(measure, MEASURE_MS);

  /** The first is the first to go: spares, which nobody misses, then who has been idle longest. */
  const idle = () =>
    [...processes]
      .filter((process) => process.state === "ready" && !process.isBusy)
      .sort((one, other) => Number(spares.has(other)) - Number(spares.has(one)) || one.lastUsedAt - other.lastUsedAt);

  async function measure(): Promise<void> {
    try {
      const trees = await measureTrees([...processes].map(({ pid }) => pid));
      for (const process of processes) process.memory = trees.get(process.pid) ?? process.memory;
    } catch (error) {
      // What was measured before holds on.
      log.warning("memory not measured: {error}", { error });
    }
    if (stopping) return;
    keepWithinMemory();
    measuring = setTimeout(measure, MEASURE_MS);
  }

  /** Ends idle claudes until the others fit into the budget, and has those restarted that have grown too large. */
  function keepWithinMemory(): void {
    const staying = new Set([...processes].filter(({ state }) => state !== "draining"));
    for (const process of idle()) {
      if (staying.size === 1 || !slots.exceedsBudget(staying)) break;
      staying.delete(process);
      endIdle(process, "to save memory");
    }
    for (const process of idle()) {
      if ((process.memory ?? 0) <= config.processMemoryMb * MEGABYTE || !process.hasWorked) continue;
      log.info("claude has grown too large", { session: process.spec.sessionKey, pid: process.pid });
      process.reportOversized();
    }
    slots.admit();
  }

  function endIdle(process: ClaudeProcess, why: string): void {
    log.info("idle claude ended {why}", { session: process.spec.sessionKey, pid: process.pid, why });
    spares.delete(process);
    void process.stop();
  }

  /** Ends claudes that nobody has needed for long. */
  function endUnused(): void {
    for (const process of idle()) {
      if (performance.now() - process.lastUsedAt >= config.idleKillMs) endIdle(process, "since nobody needs it");
    }
  }

  /** Ends as many idle claudes as there are who wait, less those that are ending already. */
  function makeRoom(): void {
    const ending = [...processes].filter((process) => process.state === "draining").length;
    for (const process of idle().slice(0, Math.max(0, slots.waiting - ending))) {
      endIdle(process, "to make room");
    }
  }

  function endTimers(): void {
    stopping = true;
    clearInterval(sweep);
    clearTimeout(measuring);
    clearTimeout(quiet);
  }

  function leavePlace(): void {
    slots.release();
    planSpare();
  }

  /** Starts a claude in a place that is taken; the place is left when it is gone. */
  function launch(spec: LaunchSpec, owner: ProcessOwner): ClaudeProcess {
    try {
      if (stopping) throw shuttingDown();
      const place = {
        port: port(),
        folder: join(paths.run, crypto.randomUUID()),
        program,
        deny,
        managed,
        sessionFolder,
      };
      const process = new ClaudeProcess(spec, owner, place, config, env);
      processes.add(process);
      byBridge.set(digest(process.bridgeToken), process);
      byHook.set(digest(process.hookToken), process);
      const release = () => {
        processes.delete(process);
        // Not by us: it could not be started, or was killed. The like is not tried again before a conversation has been.
        if (spares.has(process)) spares.forget(process.spec);
        spares.delete(process);
        byBridge.delete(digest(process.bridgeToken));
        byHook.delete(digest(process.hookToken));
        leavePlace();
      };
      // Rejected or not: it has ended.
      process.exited.then(release, release);
      return process;
    } catch (error) {
      leavePlace();
      throw error;
    }
  }

  /** Looks for a spare that is missing as soon as the machine is quiet. */
  function planSpare(): void {
    clearTimeout(quiet);
    if (!stopping && config.spares > 0) quiet = setTimeout(prepareSpare, QUIET_MS);
  }

  function prepareSpare(): void {
    // Whoever is starting plans again when it is there.
    if ([...processes].some(({ state }) => state === "starting")) return;
    const { missing, surplus } = spares.plan();
    for (const spare of surplus) endIdle(spare, "since it suits nobody");
    if (!missing || !slots.acquireForSpare()) return;
    try {
      const sessionKey = `spare:${crypto.randomUUID()}`;
      const spare = launch(
        { ...missing, sessionKey, claudeSession: crypto.randomUUID(), resume: false, rules: [] },
        NO_OWNER,
      );
      spares.add(spare);
      spare.ready.then(planSpare, () => {});
    } catch (error) {
      spares.forget(missing);
      log.warning("spare not started: {error}", { error });
    }
  }

  return {
    async start(spec, owner, signal) {
      await slots.acquire(signal);
      try {
        const rival = spec.resume ? await sessionFolder.rival(spec.claudeSession) : null;
        if (rival !== null) throw sessionInUse(rival);
      } catch (error) {
        leavePlace();
        throw error;
      }
      const process = launch(spec, owner);
      const noteReady = () => {
        if (!spec.resume) spares.noteBegun(spec);
        planSpare();
      };
      process.ready.then(noteReady, () => {});
      return process;
    },
    adopt(spec, owner) {
      const spare = spares.take(spec);
      if (!spare) return null;
      spare.assignTo(spec.sessionKey, owner);
      spares.noteBegun(spec);
      planSpare();
      return spare;
    },
    expect: (specs) => {
      for (const spec of specs.toReversed()) spares.noteBegun(spec);
      planSpare();
    },
    noteIdle: () => {
      if (slots.waiting > 0) makeRoom();
      planSpare();
    },
    get hasRoom() {
      return slots.areFree || (slots.waiting === 0 && idle().length > 0);
    },
    byBridgeToken: (token) => ofToken(byBridge, token),
    byHookToken: (token) => ofToken(byHook, token),
    get size() {
      return processes.size;
    },
    get connections() {
      return [...processes].filter((process) => process.connected).length;
    },
    async stopAll() {
      endTimers();
      sessionFolder.close();
      await Promise.all([...processes].map((process) => process.stop()));
    },
    killAll: () => {
      endTimers();
      for (const process of processes) process.kill();
    },
  };
}

const sessionInUse = (pid: number) =>
  new RequestError(
    "session_in_use",
    `Another claude (pid ${pid}) has this conversation open, in a terminal perhaps, and two at once would spoil its ` +
      "record. Close that one and send the message again.",
    { retryAfter: 30 },
  );

const ofToken = (processes: ReadonlyMap<string, ClaudeProcess>, token: string | null): ClaudeProcess | undefined =>
  token === null ? undefined : processes.get(digest(token));
