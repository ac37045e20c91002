/**
 * Records every turn while it runs. A message is recorded before it is sent to Claude; messages that are sent at the same
 * time share a commit. Later changes are collected for a moment and then committed together, because a commit costs as
 * much as everything else that the server does for a turn.
 */
import { setImmediate } from "node:timers/promises";
import { getLogger } from "@logtape/logtape";
import { and, desc, eq, isNotNull, or, sql, sum } from "drizzle-orm";
import { costOf, type ModelUsage, type Usage, withCost } from "../core/usage.ts";
import type { Store } from "./database.ts";
import { sessions, type ToolTime, type TurnRow, turns } from "./schema.ts";
import { type CountedTurn, createUsageSums } from "./usage.ts";

const log = getLogger(["synthesis", "store"]);

/** A change of a turn waits this long for others before it is committed. */
const COLLECT_MS = 25;
/** After a failed commit, for example on a full disk, the next attempt is made after this time. */
const RETRY_MS = 10_000;
/** The delivery plan of a conversation looks back this many turns. */
export const MAX_DELIVERED_TURNS = 1_000;

interface TurnEnd {
  readonly state: "done" | "failed" | "interrupted";
  readonly at: number;
  /** When the client got the first text; null if it got none. */
  readonly firstTextAt: number | null;
  readonly errorCode: string | null;
  readonly exchanges: TurnRow["exchanges"];
}

type Progress = Partial<Pick<TurnRow, (typeof PROGRESS)[number]>>;
/** The columns that are set while a turn runs. */
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
  "modelUsage",
  "isUsageOpen",
  "exchanges",
  "tools",
] as const;

export type SentTurn = Pick<
  TurnRow,
  | "id"
  | "session"
  | "claudeSession"
  | "traceId"
  | "queuedAt"
  | "processOrigin"
  | "sentAt"
  | "fingerprints"
  | "volatile"
  | "hadHistory"
  | "dropped"
  | "history"
>;

/** A turn of which not all model calls are counted. */
export type OpenTurn = Pick<TurnRow, "id" | "claudeSession" | "modelUsage">;

/** By the order of insertion, since the times are wrong after the clock was set back. */
const latestFirst = desc(sql`rowid`);

export interface TurnStore {
  /** The latest turns with a message that a Claude session has, or may have, received, oldest first. */
  delivered(claudeSession: string): TurnRow[];
  find(id: string): TurnRow | undefined;
  /** Deletes the responses of a turn. @returns whether the conversation has other responses */
  deleteResponse(turn: Pick<TurnRow, "id" | "session">): boolean;
  /** The last `count` turns of a conversation, oldest first. */
  latest(session: string, count: number): TurnRow[];
  /** Records that a message is about to be sent to Claude. Resolves after the commit, rejects if it fails. */
  insertSent(turn: SentTurn): Promise<void>;
  /** Records the receipt of a message, and counts the turn in its conversation. */
  markReceived(id: string, session: string, at: number, promptId: string | null): void;
  markEnded(id: string, end: TurnEnd): void;
  /** Records which tools a turn has used so far. */
  setTools(id: string, tools: readonly ToolTime[]): void;
  /**
   * Sets the tokens of all model calls of a turn so far. The last of them become known after its end.
   * @param total by model, the main model first
   * @param isFinal no more follow
   */
  setUsage(id: string, total: readonly ModelUsage[], isFinal: boolean): void;
  /** Adds to the cost of a turn, in US dollars, what is known of it beside its model calls. */
  addCost(id: string, cost: number): void;
  /** The turns that ended until this time, in Unix ms, before all their model calls were counted. */
  openUsage(until: number): readonly OpenTurn[];
  /** Counts no more model calls for a turn. */
  closeUsage(id: string): void;
  /** Counts a request that has no turn of its own. It is recorded with the next changes. */
  count(request: CountedTurn): void;
  /**
   * Calls the listener after the commit of each change of what a turn counts for.
   * The listener gets what it counted for before, null for a new one, and what it counts for now.
   */
  onCounted(listener: (before: CountedTurn | null, now: CountedTurn) => void): void;
  /** The tokens of all turns of a conversation; null if no turn has any recorded. */
  totalUsage(session: string): Usage | null;
  /** Increases with each change of the database that this server makes. */
  readonly changes: number;
  /** Commits the collected changes now. If that fails, they are kept and committed later. */
  flush(): void;
}

export function createTurnStore({ database }: Store): TurnStore {
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
      queuedAt: sql`${sql.placeholder("queuedAt")}`,
      processOrigin: sql`${sql.placeholder("processOrigin")}`,
      sentAt: sql.placeholder("sentAt"),
      isUsageOpen: true,
    })
    .prepare();
  const columns = PROGRESS.map((name) => [name, sql`coalesce(${sql.placeholder(name)}, ${turns[name]})`]);
  const update = database
    .update(turns)
    .set(Object.fromEntries(columns))
    .where(eq(turns.id, sql.placeholder("id")))
    .prepare();
  const totalChanges = database.select({ count: sql<number>`total_changes()` }).from(sql`(select 1)`).prepare();
  const count = database
    .update(sessions)
    .set({ turns: sql`${sessions.turns} + 1`, lastActiveAt: sql`${sql.placeholder("at")}` })
    .where(eq(sessions.key, sql.placeholder("session")))
    .prepare();

  const sums = createUsageSums({ database });
  const listeners = new Set<(before: CountedTurn | null, now: CountedTurn) => void>();

  const unchanged = Object.fromEntries(PROGRESS.map((name) => [name, null]));
  const collected = new Map<string, Progress>();
  /** The costs that are added to the usage of turns, each with the first change after which the turn has any. */
  const costs = new Map<string, number>();
  /** When the turns ended whose usage may be open. The table is searched for them only once. */
  const endedOpen = new Map<string, number>(
    database
      .select({ id: turns.id, endedAt: turns.endedAt })
      .from(turns)
      .where(and(eq(turns.isUsageOpen, true), isNotNull(turns.endedAt)))
      .all()
      .map(({ id, endedAt }) => [id, endedAt ?? 0]),
  );
  const counted: { session: string; at: number }[] = [];
  let uncounted: CountedTurn[] = [];
  let timer: Timer | undefined;
  let unsent: SentTurn[] = [];
  let unsentCommit: Promise<void> | undefined;

  const collect = (id: string, progress: Progress) => {
    collected.set(id, { ...collected.get(id), ...progress });
    if (progress.endedAt) endedOpen.set(id, progress.endedAt);
    if (progress.isUsageOpen === false) endedOpen.delete(id);
    timer ??= setTimeout(flush, COLLECT_MS);
  };
  const record = (id: string, progress: Progress) => {
    const { exchanges, modelUsage, isUsageOpen, tools, ...columns } = progress;
    update.run({
      ...unchanged,
      id,
      ...columns,
      isUsageOpen: isUsageOpen === undefined ? null : Number(isUsageOpen),
      modelUsage: modelUsage ? JSON.stringify(modelUsage) : null,
      exchanges: exchanges ? JSON.stringify(exchanges) : null,
      tools: tools ? JSON.stringify(tools) : null,
    });
  };
  /** Records the change, also in the sums. */
  const recordAndCount = (id: string, progress: Progress) => {
    const cost = costs.get(id);
    // Null when the conversation was deleted meanwhile. What the turn counted for until then stays.
    const before = cost !== undefined || changesSums(progress) ? sums.turn(id) : null;
    const used = progress.modelUsage ?? before?.modelUsage ?? [];
    const isCosted = cost !== undefined && used.length > 0;
    const changed = before ? { ...progress, ...usedBy(before, progress, isCosted ? cost : undefined) } : progress;
    // A turn whose usage is closed without any, or that was deleted, gets no cost.
    if (isCosted || !before || progress.isUsageOpen === false) costed.push(id);
    record(id, changed);
    if (before) replace(before, { ...before, ...withoutNulls(changed) });
  };
  let costed: string[] = [];
  let changes: [before: CountedTurn | null, now: CountedTurn][] = [];
  const replace = (before: CountedTurn | null, now: CountedTurn) => {
    sums.replace(before, now);
    changes.push([before, now]);
  };
  /** Commits the collected changes and those of `more` in one transaction. */
  const commit = (more: () => void) => {
    changes = [];
    costed = [];
    database.transaction(() => {
      for (const [id, progress] of collected) recordAndCount(id, progress);
      for (const one of counted) count.run(one);
      for (const one of uncounted) replace(null, one);
      more();
    });
    clearTimeout(timer);
    timer = undefined;
    collected.clear();
    for (const id of costed) costs.delete(id);
    counted.length = 0;
    uncounted = [];
    for (const listener of listeners) for (const change of changes) listener(...change);
  };
  async function commitUnsent() {
    // Messages that are sent at the same time join this commit.
    await setImmediate();
    const turns = unsent;
    unsent = [];
    unsentCommit = undefined;
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
    if (collected.size === 0 && uncounted.length === 0) return;
    try {
      commit(() => {});
    } catch (error) {
      log.error("turns not recorded, will retry: {error}", { turns: collected.size, error });
      clearTimeout(timer);
      timer = setTimeout(flush, RETRY_MS);
    }
  }

  return {
    delivered: (claudeSession) => {
      flush();
      return database
        .select()
        .from(turns)
        .where(and(eq(turns.claudeSession, claudeSession), or(isNotNull(turns.receivedAt), eq(turns.state, "lost"))))
        .orderBy(latestFirst)
        .limit(MAX_DELIVERED_TURNS)
        .all()
        .reverse();
    },
    find: (id) => {
      flush();
      return database.select().from(turns).where(eq(turns.id, id)).get();
    },
    deleteResponse: ({ id, session }) => {
      database.update(turns).set({ isResponseDeleted: true }).where(eq(turns.id, id)).run();
      const others = and(eq(turns.session, session), eq(turns.isResponseDeleted, false));
      return database.select({ id: turns.id }).from(turns).where(others).get() !== undefined;
    },
    latest: (session, count) => {
      flush();
      return database
        .select()
        .from(turns)
        .where(eq(turns.session, session))
        .orderBy(latestFirst)
        .limit(count)
        .all()
        .reverse();
    },
    insertSent: (turn) => {
      unsent.push(turn);
      unsentCommit ??= commitUnsent();
      return unsentCommit;
    },
    markReceived: (id, session, at, promptId) => {
      counted.push({ session, at });
      collect(id, { state: "running", receivedAt: at, promptId });
    },
    markEnded: (id, { state, at, firstTextAt, errorCode, exchanges }) =>
      collect(id, { state, endedAt: at, firstTextAt, errorCode, exchanges }),
    get changes() {
      return totalChanges.get()?.count ?? 0;
    },
    setTools: (id, tools) => collect(id, { tools }),
    setUsage: (id, total, isFinal) => {
      collect(id, { modelUsage: total, ...tokensOf(total), ...(isFinal ? { isUsageOpen: false } : {}) });
    },
    addCost: (id, cost) => {
      costs.set(id, (costs.get(id) ?? 0) + cost);
      collect(id, {});
    },
    openUsage: (until) => {
      flush();
      return [...endedOpen].flatMap(([id, endedAt]) => {
        if (endedAt > until) return [];
        const { claudeSession, modelUsage } = turns;
        const isOpen = and(eq(turns.id, id), eq(turns.isUsageOpen, true));
        const row = database.select({ id: turns.id, claudeSession, modelUsage }).from(turns).where(isOpen).get();
        // The conversation was deleted, or the end was noted again after the last model call.
        if (!row) endedOpen.delete(id);
        return row ?? [];
      });
    },
    closeUsage: (id) => collect(id, { isUsageOpen: false }),
    count: (request) => {
      uncounted.push(request);
      timer ??= setTimeout(flush, COLLECT_MS);
    },
    onCounted: (listener) => {
      listeners.add(listener);
    },
    totalUsage: (session) => {
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
  };
}

/** Whether a change of a turn changes what it counts for. Its receipt does not. */
const changesSums = ({ endedAt, modelUsage }: Progress): boolean => endedAt !== undefined || modelUsage !== undefined;

/** What a turn has used with a change. Its cost stays if it is not known by model, as the change does not have it. */
function usedBy(before: CountedTurn, { modelUsage }: Progress, cost: number | undefined): Progress {
  const earlier = costOf(before.modelUsage ?? []);
  const isPriced = !modelUsage || earlier === null || costOf(modelUsage) !== null;
  const used = isPriced ? (modelUsage ?? before.modelUsage) : withCost(modelUsage, earlier);
  if (cost !== undefined) return { modelUsage: withCost(used ?? [], cost) };
  return modelUsage ? { modelUsage: used } : {};
}

const withoutNulls = (progress: Progress): Progress =>
  Object.fromEntries(Object.entries(progress).filter(([, value]) => value !== null));

/** Without any call nothing is known to have been used. */
function tokensOf(total: readonly ModelUsage[]): Progress {
  if (total.length === 0) return {};
  const sum = (count: (usage: ModelUsage) => number) => total.reduce((all, usage) => all + count(usage), 0);
  return {
    tokensIn: sum(({ input, cacheRead, cacheWrite }) => input + cacheRead + cacheWrite),
    tokensOut: sum(({ output }) => output),
    tokensCached: sum(({ cacheRead }) => cacheRead),
  };
}
