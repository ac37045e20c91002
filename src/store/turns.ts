/**
 * Every turn, as it goes. That a message is sent is written down before it is, in one commit for all messages of the
 * moment; what follows is gathered a little longer. A commit costs as much as all else that a turn does here.
 */

import { setImmediate } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import { and, desc, eq, inArray, isNotNull, or, sql, sum } from "drizzle-orm";
import type { Usage } from "../core/usage.ts";

import type { Store } from "./database.ts";
import { sessions, type TurnRow, turns } from "./schema.ts";

const log = getLogger(["synthesis", "store"]);

/** How long what is known of a turn may wait to be written down, in ms. */
const GATHER_MS = 25;
/** When it could not be, as on a full disk, it is tried again after so long, in ms. */
const AGAIN_MS = 10_000;
/** So many turns of a session decide what its claude must be told. */
export const REMEMBERED = 1_000;

interface TurnEnd {
  readonly state: "done" | "failed" | "interrupted";
  readonly at: number;
  /** When the client was first shown something, if it was. */
  readonly firstTextAt: number | null;
  readonly errorCode: string | null;
  readonly exchanges: TurnRow["exchanges"];
}

type Progress = Partial<Pick<TurnRow, (typeof PROGRESS)[number]>>;
/** What becomes known of a turn while it runs. */
const PROGRESS = [
  "state",
  "receivedAt",
  "promptId",
  "endedAt",
  "firstTextAt",
  "errorCode",
  "tokensIn",
  "tokensOut",
  "tokensCached",
  "exchanges",
] as const;

export type SentTurn = Pick<
  TurnRow,
  | "id"
  | "session"
  | "claudeSession"
  | "traceId"
  | "sentAt"
  | "fingerprints"
  | "volatile"
  | "hadHistory"
  | "dropped"
  | "history"
>;

/** As they were written down: a clock that is set back says otherwise. */
const lastFirst = desc(sql`rowid`);

export interface TurnStore {
  /** What a Claude session has received of late, or may have, oldest first. */
  delivered(claudeSession: string): TurnRow[];
  /** The last `count` turns of a conversation, oldest first. */
  latest(session: string, count: number): TurnRow[];
  /** A message is about to be sent to claude. Resolves when that is written down, rejects when it cannot be. */
  sent(turn: SentTurn): Promise<void>;
  /** claude has received it; its conversation counts it. */
  receive(id: string, session: string, at: number, promptId: string | null): void;
  ended(id: string, end: TurnEnd): void;
  /** The tokens that all its model calls took so far. They become known while it runs, and a little after its end. */
  usage(id: string, total: Usage): void;
  /** The tokens that the turns of a conversation took; null when those of no turn are known. */
  total(session: string): Usage | null;
  /** Writes down now what has been gathered. When that fails it is kept, and written with what comes next or later. */
  flush(): void;
  /** Marks what a dead server left in the middle; how many there were. */
  markLost(at: number): number;
}

export function createTurnStore({ database }: Store): TurnStore {
  const mine = eq(turns.id, sql.placeholder("id"));
  const insert = database
    .insert(turns)
    .values({
      id: sql.placeholder("id"),
      session: sql.placeholder("session"),
      claudeSession: sql.placeholder("claudeSession"),
      state: "sent",
      fingerprints: sql`${sql.placeholder("fingerprints")}`,
      hadHistory: sql`${sql.placeholder("hadHistory")}`,
      dropped: sql.placeholder("dropped"),
      history: sql`${sql.placeholder("history")}`,
      volatile: sql.placeholder("volatile"),
      traceId: sql.placeholder("traceId"),
      sentAt: sql.placeholder("sentAt"),
    })
    .prepare();
  const columns = PROGRESS.map((name) => [name, sql`coalesce(${sql.placeholder(name)}, ${turns[name]})`]);
  const update = database.update(turns).set(Object.fromEntries(columns)).where(mine).prepare();
  const count = database
    .update(sessions)
    .set({ turns: sql`${sessions.turns} + 1`, lastActiveAt: sql`${sql.placeholder("at")}` })
    .where(eq(sessions.key, sql.placeholder("session")))
    .prepare();

  const nothing = Object.fromEntries(PROGRESS.map((name) => [name, null]));
  const gathered = new Map<string, Progress>();
  const counted: { session: string; at: number }[] = [];
  let timer: Timer | undefined;
  let sending: SentTurn[] = [];
  let sendingWritten: Promise<void> | undefined;

  const gather = (id: string, progress: Progress) => {
    gathered.set(id, { ...gathered.get(id), ...progress });
    timer ??= setTimeout(flush, GATHER_MS);
  };
  /** In one transaction with `more`. */
  const commit = (more: () => void) => {
    database.transaction(() => {
      for (const [id, { exchanges, ...progress }] of gathered) {
        update.run({ ...nothing, id, ...progress, exchanges: exchanges ? JSON.stringify(exchanges) : null });
      }
      for (const one of counted) count.run(one);
      more();
    });
    clearTimeout(timer);
    timer = undefined;
    gathered.clear();
    counted.length = 0;
  };
  async function writeSending() {
    await setImmediate();
    const turns = sending;
    sending = [];
    sendingWritten = undefined;
    commit(() => {
      for (const { fingerprints, history, hadHistory, ...turn } of turns) {
        insert.run({
          ...turn,
          fingerprints: JSON.stringify(fingerprints),
          history: JSON.stringify(history),
          hadHistory: Number(hadHistory),
        });
      }
    });
  }
  function flush() {
    if (gathered.size === 0) return;
    try {
      commit(() => {});
    } catch (error) {
      log.error("turns not written down: {error}", { turns: gathered.size, error });
      clearTimeout(timer);
      timer = setTimeout(flush, AGAIN_MS);
    }
  }

  return {
    delivered: (claudeSession) => {
      flush();
      return database
        .select()
        .from(turns)
        .where(and(eq(turns.claudeSession, claudeSession), or(isNotNull(turns.receivedAt), eq(turns.state, "lost"))))
        .orderBy(lastFirst)
        .limit(REMEMBERED)
        .all()
        .reverse();
    },
    latest: (session, count) => {
      flush();
      return database
        .select()
        .from(turns)
        .where(eq(turns.session, session))
        .orderBy(lastFirst)
        .limit(count)
        .all()
        .reverse();
    },
    sent: (turn) => {
      sending.push(turn);
      sendingWritten ??= writeSending();
      return sendingWritten;
    },
    receive: (id, session, at, promptId) => {
      counted.push({ session, at });
      gather(id, { state: "running", receivedAt: at, promptId });
    },
    ended: (id, { state, at, firstTextAt, errorCode, exchanges }) =>
      gather(id, { state, endedAt: at, firstTextAt, errorCode, exchanges }),
    usage: (id, { input, output, cached }) => gather(id, { tokensIn: input, tokensOut: output, tokensCached: cached }),
    total: (session) => {
      flush();
      const row = database
        .select({ input: sum(turns.tokensIn), cached: sum(turns.tokensCached), output: sum(turns.tokensOut) })
        .from(turns)
        .where(eq(turns.session, session))
        .get();
      if (!row || row.input === null) return null;
      return { input: Number(row.input), cached: Number(row.cached), output: Number(row.output) };
    },
    flush,
    markLost: (at) =>
      database
        .update(turns)
        .set({ state: "lost", endedAt: at })
        .where(inArray(turns.state, ["sent", "running"]))
        .returning({ id: turns.id })
        .all().length,
  };
}
