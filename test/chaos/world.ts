/** What a schedule runs in: its own server, claudes and clock, and the test's view of each conversation. */
import { Database } from "bun:sqlite";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { findMarked } from "../../src/claude/process-mark.ts";
import { findTranscript } from "../../src/claude/transcript/location.ts";
import { createClock } from "../support/clock.ts";
import { descriptors } from "../support/processes.ts";
import { preloaded, startServer, type TestServer } from "../support/server.ts";
import { type Claudes, realClaudes, standIns } from "./claudes.ts";
import { MESSAGE_IDS } from "./orders.ts";
import { type OrdersServer, startOrdersServer } from "./orders-server.ts";
import type { Schedule } from "./schedule.ts";

/** The program did something other than the schedule requires. */
export class Violation extends Error {}

export type ClaudeKind = "stand-ins" | "real";

export interface Conversation {
  readonly key: string;
  readonly client: "alone" | "whole";
  /** The messages that its Claude session must hold, in order. */
  readonly delivered: string[];
  /** The messages and answers that the client knows. */
  readonly history: { role: "user" | "assistant"; content: string }[];
  /** Failed messages that the client sends again with its next one. */
  pending: string[];
  sent: number;
}

export interface ChaosWorld extends AsyncDisposable {
  readonly schedule: Schedule;
  readonly claudes: Claudes;
  readonly ordersServer: OrdersServer;
  readonly clock: Awaited<ReturnType<typeof createClock>>;
  /** The server's state folder. */
  readonly state: string;
  readonly conversations: readonly Conversation[];
  /** The newest server; it may have exited. */
  server: TestServer;
  /** Timers and descriptors of this server before its first request. */
  baseline: { timers: number; descriptors: number };
  /** This server's log may have errors. */
  expectsErrors: boolean;
  /** How many claudes died before they recorded anything, so that their session could not be resumed. */
  lostSessions: number;
  /** Starts a server after the one before has exited. */
  restart(): Promise<void>;
  /** Waits for a promise. @throws Violation when it takes too long */
  readonly within: <T>(promise: Promise<T>, what: string) => Promise<T>;
}

export async function createChaosWorld(schedule: Schedule, who: ClaudeKind): Promise<ChaosWorld> {
  const ordersServer = startOrdersServer();
  const claudes = who === "real" ? realClaudes(ordersServer) : standIns(ordersServer, schedule);
  const { home, speed } = claudes;
  const clock = await createClock(join(home.base, "clock"), speed);
  const state = join(home.base, "state");
  const env = {
    ...home.env,
    ...clock.env,
    ...claudes.env,
    SYNTHESIS_HOME: state,
    SYNTHESIS_WORKSPACE: home.workspace,
    SYNTHESIS_ENGINE: schedule.engine,
    SYNTHESIS_PERMISSIONS: "refuse",
    SYNTHESIS_REPLY: schedule.mode,
    SYNTHESIS_MAX_PROCESSES: `${schedule.maxProcesses}`,
    SYNTHESIS_IDLE_KILL_MS: schedule.shortIdleKill ? "3000" : "2000000000",
    SYNTHESIS_SPARES: `${schedule.spares}`,
  };
  const server = preloaded("count-timers.ts", "clock.ts");
  // SIGXFSZ would kill a process that writes beyond its file size limit.
  const program = ["/bin/sh", "-c", 'trap "" XFSZ; exec "$@"', "sh", ...server];
  const within = waitWithin(claudes.patience);
  const start = () => within(startServer(env, program), "the server starts");
  const close = async () => {
    for (const pid of findMarked(`HOME=${home.home}`)) process.kill(pid, "SIGKILL");
    await ordersServer.close();
    await claudes.stop();
  };
  try {
    const world: ChaosWorld = {
      schedule,
      claudes,
      ordersServer,
      clock,
      state,
      conversations: schedule.clients.map((client, index) => ({
        key: `c${index}`,
        client,
        delivered: [],
        history: [],
        pending: [],
        sent: 0,
      })),
      server: await start(),
      baseline: { timers: 0, descriptors: 0 },
      expectsErrors: false,
      lostSessions: 0,
      async restart() {
        world.server = await start();
        world.baseline = await count(world);
        world.expectsErrors = false;
      },
      within,
      [Symbol.asyncDispose]: async () => {
        await world.server.stop("SIGKILL");
        await close();
      },
    };
    world.baseline = await count(world);
    return world;
  } catch (error) {
    await close();
    throw error;
  }
}

/** Returns a wait that fails with a Violation after `ms`. */
const waitWithin =
  (ms: number): ChaosWorld["within"] =>
  async (promise, what) => {
    let timer: Timer | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Violation(`${what}: not after ${ms} ms`)), ms);
    });
    try {
      return await Promise.race([promise, timeout]);
    } finally {
      clearTimeout(timer);
    }
  };

/** A kept-alive connection would count as a descriptor that was left behind. */
export const CLOSE_CONNECTION = { connection: "close" };

export const sessionKey = ({ key }: Conversation) => encodeURIComponent(`user:${key}`);

/** Sends a control request. @param path the path after `/v1/sessions` */
export const control = (server: TestServer, state: string, path: string, method = "GET") =>
  fetch(`${server.url}/v1/sessions${path}`, {
    method,
    headers: {
      ...CLOSE_CONNECTION,
      authorization: `Bearer ${readFileSync(join(state, "control.key"), "utf8").trim()}`,
    },
  });

/** The messages in the transcript of a conversation's Claude session. */
export async function recordOf({ state, claudes }: ChaosWorld, { key }: Conversation): Promise<string[]> {
  const database = new Database(join(state, "synthesis.db"), { readonly: true });
  const query = database.query<{ id: string }, [string]>("select claude_session as id from sessions where key = ?");
  const session = query.get(`user:${key}`);
  database.close();
  const transcript = await findTranscript(session?.id ?? "", claudes.home.env);
  if (transcript === null) return [];
  const rows = readFileSync(transcript, "utf8").trim().split("\n");
  return rows.flatMap((row) => {
    const { type, message } = JSON.parse(row);
    return type === "user" && typeof message.content === "string" ? (message.content.match(MESSAGE_IDS) ?? []) : [];
  });
}

/** Counts the timers and the open descriptors of a server. */
export async function count({ server, within }: ChaosWorld): Promise<{ timers: number; descriptors: number }> {
  const counted = server.log().match(/^count \d+:/gm)?.length ?? 0;
  process.kill(server.pid, "SIGUSR2");
  const line = await within(server.logged(new RegExp(`^count ${counted + 1}:`)), "the server counts its timers");
  return { timers: Number(/(\d+) timers/.exec(line)?.[1]), descriptors: descriptors(server.pid) };
}
