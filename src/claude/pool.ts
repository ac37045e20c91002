/** All running claudes: starts them, finds them by their tokens, makes room, ends them. */
import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { ApiError } from "../openai/errors.ts";
import type { LaunchSpec } from "./launch.ts";
import { ClaudeProcess } from "./process.ts";
import { sameSecret } from "./tokens.ts";

const log = getLogger(["synthesis", "pool"]);

export interface Pool {
  /**
   * Starts a claude, after ending the one that has been idle longest if there are too many.
   * @throws ApiError 429 when all are at work, 503 when claude cannot be started
   */
  start(spec: LaunchSpec): Promise<ClaudeProcess>;
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
  readonly channelAllowed: boolean;
  readonly env: Record<string, string | undefined>;
}

export function createPool({ config, paths, port, channelAllowed, env }: PoolOptions): Pool {
  const processes = new Set<ClaudeProcess>();
  let stopping = false;

  /** Ends the process that has been idle longest. */
  async function makeRoom(): Promise<void> {
    const idle = [...processes].filter((one) => one.state === "ready" && !one.isBusy());
    const oldest = idle.sort((one, other) => one.lastActiveAt - other.lastActiveAt)[0];
    if (!oldest) {
      throw new ApiError(
        "queue_full",
        `All ${config.maxProcesses} claude processes are at work. Try again later or raise SYNTHESIS_MAX_PROCESSES.`,
        null,
        10,
      );
    }
    log.info("idle claude stopped to make room", { session: oldest.spec.sessionKey, pid: oldest.pid });
    await oldest.stop();
  }

  return {
    async start(spec) {
      while (processes.size >= config.maxProcesses) await makeRoom();
      if (stopping) throw new ApiError("shutting_down", "synthesis is shutting down.", null, 5);
      const folder = join(paths.run, crypto.randomUUID());
      const place = { port: port(), folder, plugin: paths.plugin, channelAllowed };
      const process = new ClaudeProcess(spec, place, config, env);
      processes.add(process);
      void process.exited.then(() => processes.delete(process));
      return process;
    },
    byBridgeToken: (token) => {
      if (token === null) return undefined;
      return [...processes].find((process) => sameSecret(process.bridgeToken, token));
    },
    byHookToken: (token) => {
      if (token === null) return undefined;
      return [...processes].find((process) => sameSecret(process.hookToken, token));
    },
    get size() {
      return processes.size;
    },
    get connections() {
      return [...processes].filter((process) => process.connected).length;
    },
    async stopAll() {
      stopping = true;
      await Promise.all([...processes].map((process) => process.stop()));
    },
    killAll: () => {
      stopping = true;
      for (const process of processes) process.kill();
    },
  };
}
