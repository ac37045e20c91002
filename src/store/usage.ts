/**
 * The sums of turns, tokens, cost and times, by hour. A change of what a turn counts for replaces its part of the sums in
 * the same transaction. So the sums always equal the turns, and stay when the turns are deleted.
 */
import { and, eq, gte, isNotNull, lt, type SQL, sql } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import type { UsageBy } from "../wire/usage.ts";
import type * as schema from "./schema.ts";
import { type SessionRow, sessions, type TurnRow, turns, type UsageRow, usageSums } from "./schema.ts";

/** What a turn, or a request outside any conversation, counts for. */
export interface CountedTurn extends Pick<TurnRow, "sentAt" | "firstTextAt" | "modelUsage"> {
  /** `sent` and `running` do not count as turns yet, only their tokens do. */
  readonly state: TurnRow["state"];
  readonly conversation: string;
  readonly agent: string | null;
}

/** As what the turns of a conversation are counted: those that no later request can name are counted together. */
function countedConversation({ key, source, branchOf }: Pick<SessionRow, "key" | "source" | "branchOf">): string {
  if (source === "unnamed" || source === "response") return UNNAMED;
  if (source === "one-shot" || source === "side") return ONE_SHOT;
  return branchOf ?? key;
}

/** No session key equals one of these: a key of a client's own choice would be prefixed. */
const UNNAMED = "unnamed";
export const ONE_SHOT = "one-shot";

const KEY = ["startsAt", "span", "conversation", "agent", "model"] as const satisfies (keyof UsageRow)[];
type Key = Pick<UsageRow, (typeof KEY)[number]>;
/** The figures of a row of the table, without its key. */
export type UsageFigures = Omit<UsageRow, keyof Key>;

/** Figures that a database has added up. */
export interface SummedFigures extends Omit<UsageFigures, "firstTexts"> {
  /** As for `UsageGroup`, but any time within its hour or day. */
  readonly key: string | number;
  /** A JSON array of the `firstTexts` of the rows. */
  readonly firstTexts: string;
}

/** A row by what its figures were asked for. */
export interface UsageGroup extends UsageFigures {
  /** The session key, the agent or the model; empty for none. Of a time, its beginning in ms. */
  readonly key: string | number;
}

interface FirstTextOfOrigin {
  readonly origin: NonNullable<TurnRow["processOrigin"]>;
  /** How many turns had text. */
  readonly count: number;
  readonly medianMs: number;
  readonly p95Ms: number;
}

export interface UsageSums {
  /** What a turn counts for; null when there is no such turn. */
  turn(id: string): CountedTurn | null;
  /** Counts `now` instead of `before`. The caller has a transaction. @param before null for a turn that is new */
  replace(before: CountedTurn | null, now: CountedTurn): void;
  /**
   * The sums since this time by one property, times in order, others with the most output tokens first.
   * @param others figures of other servers for the same question
   */
  query(by: UsageBy, since: number, others?: readonly SummedFigures[]): UsageGroup[];
  /** The times from a message to its first text since then, by how the request got its process, of the turns in the table. */
  firstTextByOrigin(since: number): readonly FirstTextOfOrigin[];
  /** Makes days of the hours of one day that ended before this time. @returns false when there are none */
  mergeOldestDay(before: number): boolean;
}

export function createUsageSums({ database }: { readonly database: BunSQLiteDatabase<typeof schema> }): UsageSums {
  const isRow = and(...KEY.map((name) => eq(usageSums[name], sql.placeholder(name))));
  const find = database.select().from(usageSums).where(isRow).prepare();
  const remove = database.delete(usageSums).where(isRow).prepare();
  const put = database
    .insert(usageSums)
    .values(placeholders([...KEY, ...FIGURES]))
    .onConflictDoUpdate({
      target: KEY.map((name) => usageSums[name]),
      set: Object.fromEntries(FIGURES.map((name) => [name, sql.raw(`excluded.${usageSums[name].name}`)])),
    })
    .prepare();

  function add(key: Key, figures: UsageFigures): void {
    const sum = added(find.get(key) ?? NO_FIGURES, figures);
    if (isEmpty(sum)) remove.run(key);
    else put.run({ ...key, ...sum, firstTexts: JSON.stringify(sum.firstTexts) });
  }

  const select = database
    .select({
      state: turns.state,
      sentAt: turns.sentAt,
      firstTextAt: turns.firstTextAt,
      modelUsage: turns.modelUsage,
      agent: sessions.agent,
      key: sessions.key,
      source: sessions.source,
      branchOf: sessions.branchOf,
    })
    .from(turns)
    .innerJoin(sessions, eq(sessions.key, turns.session))
    .where(eq(turns.id, sql.placeholder("id")))
    .prepare();

  return {
    turn: (id) => {
      const row = select.get({ id });
      return row ? { ...row, conversation: countedConversation(row) } : null;
    },
    replace: (before, now) => {
      // Each row once, because this runs with every turn.
      const changes = new Map<string, UsagePart>();
      const collect = ({ key, figures }: UsagePart, sign: 1 | -1) => {
        const id = JSON.stringify(KEY.map((name) => key[name]));
        changes.set(id, { key, figures: added(changes.get(id)?.figures ?? NO_FIGURES, figures, sign) });
      };
      for (const part of before ? partsOf(before) : []) collect(part, -1);
      for (const part of partsOf(now)) collect(part, 1);
      for (const { key, figures } of changes.values()) if (!isEmpty(figures)) add(key, figures);
    },
    query: (by, since, others = []) => {
      const column = usageSums[columnFor(by)];
      const rows: readonly SummedFigures[] = database
        .select({ key: column, ...SUMS, firstTexts: sql<string>`json_group_array(json(${usageSums.firstTexts}))` })
        .from(usageSums)
        .where(gte(usageSums.startsAt, since))
        .groupBy(column)
        .all();
      const groups = new Map<string | number, UsageFigures>();
      for (const { key: exact, firstTexts, ...row } of [...rows, ...others]) {
        const key = by === "day" ? startOfDay(Number(exact)) : exact;
        const counts = JSON.parse(firstTexts) as Record<string, number>[];
        const figures = { ...row, firstTexts: counts.reduce((sum, one) => addedCounts(sum, one, 1), {}) };
        groups.set(key, added(groups.get(key) ?? NO_FIGURES, figures, 1));
      }
      const found = [...groups].map(([key, figures]) => ({ key, ...figures }));
      const isTime = by === "day" || by === "hour";
      return found.toSorted((a, b) => (isTime ? Number(a.key) - Number(b.key) : b.output - a.output));
    },
    firstTextByOrigin: (since) => {
      const rows = database
        .select({ origin: turns.processOrigin, ms: sql<number>`${turns.firstTextAt} - ${turns.sentAt}` })
        .from(turns)
        .where(and(gte(turns.sentAt, since), isNotNull(turns.firstTextAt), isNotNull(turns.processOrigin)))
        .orderBy(sql`2`)
        .all();
      return [...Map.groupBy(rows, ({ origin }) => origin)].flatMap(([origin, times]) => {
        const msAt = (part: number) => times[Math.min(times.length - 1, Math.floor(times.length * part))]?.ms ?? 0;
        return origin === null ? [] : [{ origin, count: times.length, medianMs: msAt(0.5), p95Ms: msAt(0.95) }];
      });
    },
    mergeOldestDay: (before) =>
      database.transaction(() => {
        const isExpiredHour = and(eq(usageSums.span, "hour"), lt(usageSums.startsAt, startOfDay(before)));
        const oldest = database
          .select({ at: sql<number | null>`min(${usageSums.startsAt})` })
          .from(usageSums)
          .where(isExpiredHour)
          .get()?.at;
        if (oldest === null || oldest === undefined) return false;
        const startsAt = startOfDay(oldest);
        const isOfDay = and(isExpiredHour, lt(usageSums.startsAt, startOfNextDay(oldest)));
        for (const row of database.delete(usageSums).where(isOfDay).returning().all()) {
          const { span: _, startsAt: __, conversation, agent, model, ...figures } = row;
          add({ startsAt, span: "day", conversation, agent, model }, figures);
        }
        return true;
      }),
  };
}

/** The column of the table that the figures are grouped by. */
export const columnFor = (by: UsageBy) => (by === "day" || by === "hour" ? "startsAt" : by);

export const COUNTS = [
  "done",
  "failed",
  "interrupted",
  "lost",
  "calls",
  "input",
  "cacheRead",
  "cacheWrite",
  "output",
  "cost",
  "unpriced",
] as const satisfies (keyof UsageFigures)[];

const FIGURES = [...COUNTS, "firstTexts"] as const;

type Counts = Record<(typeof COUNTS)[number], number>;
const counts = (count: (name: (typeof COUNTS)[number]) => number) =>
  Object.fromEntries(COUNTS.map((name) => [name, count(name)])) as Counts;

const placeholders = (names: readonly (keyof UsageRow)[]) =>
  Object.fromEntries(names.map((name) => [name, sql`${sql.placeholder(name)}`])) as Record<keyof UsageRow, SQL>;

const SUMS = Object.fromEntries(
  COUNTS.map((name) => [name, sql<number>`total(${usageSums[name]})`]),
) as unknown as Record<keyof Counts, ReturnType<typeof sql<number>>>;

export const NO_FIGURES: UsageFigures = { ...counts(() => 0), firstTexts: {} };

const isEmpty = (figures: UsageFigures): boolean =>
  COUNTS.every((name) => Math.abs(figures[name]) < 1e-9) && Object.keys(figures.firstTexts).length === 0;

/** The sum of two rows. @param sign -1 to subtract the second one */
export const added = (one: UsageFigures, other: UsageFigures, sign: 1 | -1 = 1): UsageFigures => ({
  ...counts((name) => one[name] + sign * other[name]),
  firstTexts: addedCounts(one.firstTexts, other.firstTexts, sign),
});

function addedCounts(
  one: Readonly<Record<string, number>>,
  other: Readonly<Record<string, number>>,
  sign: 1 | -1,
): Record<string, number> {
  const sum: Record<string, number> = { ...one };
  for (const [bucket, count] of Object.entries(other)) {
    const total = (sum[bucket] ?? 0) + sign * count;
    if (total === 0) delete sum[bucket];
    else sum[bucket] = total;
  }
  return sum;
}

interface UsagePart {
  readonly key: Key;
  readonly figures: UsageFigures;
}

/** What a turn adds to the sums: itself to those of its main model, and to each model's the tokens that it used. */
function partsOf(turn: CountedTurn): UsagePart[] {
  const { state, sentAt, firstTextAt, conversation, agent } = turn;
  const used = turn.modelUsage ?? [];
  const hasEnded = state !== "sent" && state !== "running";
  const isUnpriced = used.length > 0 && used.every(({ cost }) => cost === null);
  const own: UsageFigures = {
    ...NO_FIGURES,
    ...(hasEnded ? { [state]: 1 } : {}),
    unpriced: isUnpriced ? 1 : 0,
    firstTexts: firstTextAt === null ? {} : { [firstTextBucket(firstTextAt - sentAt)]: 1 },
  };
  const key = (model: string): Key => ({
    startsAt: startOfHour(sentAt),
    span: "hour",
    conversation,
    agent: agent ?? "",
    model,
  });
  const mainModel = used[0]?.model ?? "";
  const tokens = used.map(({ model, cost, ...figures }) => ({
    key: key(model),
    figures: { ...NO_FIGURES, ...figures, cost: cost ?? 0 },
  }));
  const counts = hasEnded || isUnpriced || firstTextAt !== null;
  return [...(counts ? [{ key: key(mainModel), figures: own }] : []), ...tokens];
}

/**
 * The bucket for a time: the time rounded up to the next of 1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times a power of ten. So
 * a median or a percentile of the buckets is at most a third too high.
 */
export function firstTextBucket(ms: number): number {
  if (ms <= 10) return 10;
  const power = 10 ** Math.floor(Math.log10(ms));
  const step = BUCKET_STEPS.find((one) => ms <= one * power);
  return Math.round((step ?? 10) * power);
}

const BUCKET_STEPS = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8];

/** The time within which a share of the turns had their first text; null when none had any. @param share 0.5 for half */
export function firstTextWithin(buckets: UsageFigures["firstTexts"], share: number): number | null {
  const sorted = Object.entries(buckets)
    .map(([ms, count]) => ({ ms: Number(ms), count }))
    .toSorted((a, b) => a.ms - b.ms);
  const wanted = share * sorted.reduce((sum, { count }) => sum + count, 0);
  let passed = 0;
  for (const { ms, count } of sorted) {
    passed += count;
    if (passed >= wanted) return ms;
  }
  return null;
}

/** These take and give Unix ms. Hours and days are those of the server's time zone, so that an hour is in one day. */
const startOfHour = (ms: number): number => new Date(ms).setMinutes(0, 0, 0);
export const startOfDay = (ms: number): number => new Date(ms).setHours(0, 0, 0, 0);

function startOfNextDay(ms: number): number {
  const day = new Date(startOfDay(ms));
  return day.setDate(day.getDate() + 1);
}
