/** Where a schedule is played: a server of its own, its claudes, its clock, and what is known of its conversations. */
import { Database } from "bun:sqlite";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { findOrphans } from "../../src/claude/pool/orphans.ts";
import { findTranscript } from "../../src/claude/transcript.ts";
import { createClock } from "../support/clock.ts";
import { descriptors } from "../support/processes.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { type Claudes, realClaudes, standIns } from "./claudes.ts";
import { MESSAGE_IDS } from "./orders.ts";
import { type OrdersDesk, openOrdersDesk } from "./orders-desk.ts";
import type { Schedule } from "./schedule.ts";

const root = join(import.meta.dir, "../..");

/** What happened is not what must. */
export class Wrong extends Error {}

export type Who = "stand-ins" | "real";

export interface Conversation {
  readonly key: string;
  readonly client: "alone" | "whole";
  /** What its claude has been told, in order. */
  readonly told: string[];
  /** What the client has said and heard. */
  readonly history: { role: "user" | "assistant"; content: string }[];
  /** What it says again with its next message. */
  pending: string[];
  said: number;
}

export interface Stage extends AsyncDisposable {
  readonly schedule: Schedule;
  readonly claudes: Claudes;
  readonly desk: OrdersDesk;
  readonly clock: Awaited<ReturnType<typeof createClock>>;
  /** The server's state folder. */
  readonly state: string;
  readonly conversations: readonly Conversation[];
  /** The one that runs, or has run last. */
  server: TestServer;
  /** Timers and descriptors of this server before it has done anything. */
  rested: { timers: number; descriptors: number };
  /** Errors in this server's log are no wonder. */
  mayLog: boolean;
  /** How many claudes died before they had recorded anything of their session: it cannot be gone on with. */
  emptied: number;
  /** Starts a server, in the place of one that has ended. */
  restart(): Promise<void>;
  /** Waits. @throws Wrong when it takes too long */
  readonly within: <T>(promise: Promise<T>, what: string) => Promise<T>;
}

export async function openStage(schedule: Schedule, who: Who): Promise<Stage> {
  const desk = openOrdersDesk();
  const claudes = who === "real" ? realClaudes(desk) : standIns(desk, schedule.mode);
  const { home, speed } = claudes;
  const clock = await createClock(join(home.base, "clock"), speed);
  const state = join(home.base, "state");
  const env = {
    ...home.env,
    ...clock.env,
    ...claudes.env,
    SYNTHESIS_HOME: state,
    SYNTHESIS_WORKSPACE: home.workspace,
    SYNTHESIS_REPLY: schedule.mode,
    SYNTHESIS_MAX_PROCESSES: `${schedule.maxProcesses}`,
    SYNTHESIS_IDLE_KILL_MS: schedule.restless ? "3000" : "2000000000",
    SYNTHESIS_SPARES: `${schedule.spares}`,
  };
  const preloads = ["count-timers", "clock"].flatMap((name) => ["--preload", join(root, `test/support/${name}.ts`)]);
  const server = [process.execPath, ...preloads, join(root, "src/main.ts")];
  // A disk that takes no more is a signal to who writes on it, unless that is ignored.
  const program = ["/bin/sh", "-c", 'trap "" XFSZ; exec "$@"', "sh", ...server];
  const within = patience(claudes.patience);
  const start = () => within(startServer(env, program), "the server starts");
  const close = async () => {
    for (const pid of findOrphans(`HOME=${home.home}`)) process.kill(pid, "SIGKILL");
    await desk.close();
    await claudes.stop();
  };
  try {
    const stage: Stage = {
      schedule,
      claudes,
      desk,
      clock,
      state,
      conversations: schedule.clients.map((client, index) => ({
        key: `c${index}`,
        client,
        told: [],
        history: [],
        pending: [],
        said: 0,
      })),
      server: await start(),
      rested: { timers: 0, descriptors: 0 },
      mayLog: false,
      emptied: 0,
      async restart() {
        stage.server = await start();
        stage.rested = await count(stage);
        stage.mayLog = false;
      },
      within,
      [Symbol.asyncDispose]: async () => {
        await stage.server.stop("SIGKILL");
        await close();
      },
    };
    stage.rested = await count(stage);
    return stage;
  } catch (error) {
    await close();
    throw error;
  }
}

/** Waits that are Wrong when they take longer than `ms`. */
const patience =
  (ms: number): Stage["within"] =>
  async (promise, what) => {
    let timer: Timer | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Wrong(`${what}: not after ${ms} ms`)), ms);
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
    }
  };

/** A connection that is kept for the next request would count as one that is left. */
export const LAST = { connection: "close" };

export const sessionKey = ({ key }: Conversation) => encodeURIComponent(`user:${key}`);

/** Asks `/v1/sessions`. @param path what comes behind that */
export const control = (server: TestServer, state: string, path: string, method = "GET") =>
  fetch(`${server.url}/v1/sessions${path}`, {
    method,
    headers: { ...LAST, authorization: `Bearer ${readFileSync(join(state, "control.key"), "utf8").trim()}` },
  });

/** The messages in the record of the claude session that is a conversation's. */
export async function recordOf({ state, claudes }: Stage, { key }: Conversation): Promise<string[]> {
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

/** How many timers run in a server and how many descriptors it has open. */
export async function count({ server, within }: Stage): Promise<{ timers: number; descriptors: number }> {
  const counted = server.log().match(/^count \d+:/gm)?.length ?? 0;
  process.kill(server.pid, "SIGUSR2");
  const line = await within(server.logged(new RegExp(`^count ${counted + 1}:`)), "the server counts its timers");
  return { timers: Number(/(\d+) timers/.exec(line)?.[1]), descriptors: descriptors(server.pid) };
}
