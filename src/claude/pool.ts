/** All running claudes: starts them, finds them by their tokens, makes room for others, ends them. */
import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { shuttingDown } from "../openai/errors.ts";
import type { LaunchSpec } from "./launch.ts";
import type { ManagedSettings } from "./managed-settings.ts";
import { ClaudeProcess } from "./process.ts";
import { SessionFolder } from "./session-file.ts";
import { digest } from "./tokens.ts";

const log = getLogger(["synthesis", "pool"]);

export interface Pool {
  /**
   * Starts a claude as soon as there is a place for it: those who ask are served in turn, and the claude
   * that has been idle longest is ended for them. A busy one never is.
   * @param signal ends the wait for a place
   * @throws ApiError 503 when claude cannot be started
   */
  start(spec: LaunchSpec, signal: AbortSignal): Promise<ClaudeProcess>;
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
  readonly env: Record<string, string | undefined>;
}

export function createPool({ config, paths, port, managed, env }: PoolOptions): Pool {
  const processes = new Set<ClaudeProcess>();
  /** By the digests of their tokens. */
  const byBridge = new Map<string, ClaudeProcess>();
  const byHook = new Map<string, ClaudeProcess>();
  const sessionFolder = new SessionFolder(env);
  /** Those who wait for a place, first come first. */
  const waiting: (() => void)[] = [];
  let taken = 0;
  let stopping = false;
  const sweep = setInterval(endIdle, Math.min(60_000, config.idleKillMs / 2));

  const idle = () =>
    [...processes]
      .filter((process) => process.state === "ready" && !process.isBusy())
      .sort((one, other) => one.lastActiveAt - other.lastActiveAt);

  /** Ends claudes that nobody has needed for long. */
  function endIdle(): void {
    for (const process of idle()) {
      if (Date.now() - process.lastActiveAt < config.idleKillMs) continue;
      log.info("idle claude ended", { session: process.spec.sessionKey, pid: process.pid });
      void process.stop();
    }
  }

  /** Ends as many idle claudes as there are who wait, less those that are ending already. */
  function makeRoom(): void {
    const ending = [...processes].filter((process) => process.state === "draining").length;
    for (const process of idle().slice(0, Math.max(0, waiting.length - ending))) {
      log.info("idle claude ended to make room", { session: process.spec.sessionKey, pid: process.pid });
      void process.stop();
    }
  }

  async function takePlace(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (waiting.length === 0 && taken < config.maxProcesses) {
      taken += 1;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    waiting.push(resolve);
    log.debug("a turn waits for a place", { waiting: waiting.length });
    const leave = () => {
      const at = waiting.indexOf(resolve);
      // Not there any more: the place has just been given, and the caller will see the signal.
      if (at < 0) return;
      waiting.splice(at, 1);
      reject(signal.reason);
    };
    signal.addEventListener("abort", leave);
    makeRoom();
    await promise.finally(() => signal.removeEventListener("abort", leave));
  }

  /** Hands a place on to the next who waits. */
  function leavePlace(): void {
    const next = waiting.shift();
    if (next) next();
    else taken -= 1;
  }

  return {
    async start(spec, signal) {
      await takePlace(signal);
      try {
        if (stopping) throw shuttingDown();
        const place = {
          port: port(),
          folder: join(paths.run, crypto.randomUUID()),
          plugin: paths.plugin,
          managed,
          sessionFolder,
        };
        const process = new ClaudeProcess(spec, place, config, env);
        processes.add(process);
        byBridge.set(digest(process.bridgeToken), process);
        byHook.set(digest(process.hookToken), process);
        void process.exited.then(() => {
          processes.delete(process);
          byBridge.delete(digest(process.bridgeToken));
          byHook.delete(digest(process.hookToken));
          leavePlace();
        });
        return process;
      } catch (error) {
        leavePlace();
        throw error;
      }
    },
    noteIdle: () => {
      if (waiting.length > 0) makeRoom();
    },
    get hasRoom() {
      return waiting.length === 0 && (taken < config.maxProcesses || idle().length > 0);
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
      stopping = true;
      clearInterval(sweep);
      sessionFolder.close();
      await Promise.all([...processes].map((process) => process.stop()));
    },
    killAll: () => {
      stopping = true;
      clearInterval(sweep);
      for (const process of processes) process.kill();
    },
  };
}

const ofToken = (processes: ReadonlyMap<string, ClaudeProcess>, token: string | null): ClaudeProcess | undefined =>
  token === null ? undefined : processes.get(digest(token));
