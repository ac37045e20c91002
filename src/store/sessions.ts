/** The conversations that are known, by their keys. */
import { desc, eq, isNotNull, sql } from "drizzle-orm";
import type { Store } from "./database.ts";
import { type PastSessionRow, pastSessions, type SessionRow, sessions } from "./schema.ts";

export interface SessionStore {
  find(key: string): SessionRow | undefined;
  /** All of them, the one used last first. */
  all(): SessionRow[];
  /** The `count` of them that were used last, the last one first. */
  latest(count: number): SessionRow[];
  /** The claude sessions that a conversation had before, oldest first. */
  past(key: string): PastSessionRow[];
  /** The branches that other models have of a conversation, the one used last first. */
  branches(key: string): SessionRow[];
  /** The keys of all conversations that have branches. */
  branched(): string[];
  /** The key of the conversation in which OpenClaw's session id was last seen. */
  withAffinity(id: string): string | undefined;
  /** Writes a session: a new one, or what has changed of a known one. */
  save(session: Omit<SessionRow, "turns">): void;
  /** A conversation begins anew: keeps what is known of its claude session so far, and puts `next` in its place. */
  renew(last: SessionRow, next: SessionRow): void;
  /** Forgets a conversation and its turns. @returns the claude sessions it had, past ones too */
  remove(key: string): string[];
}

export function createSessionStore({ database }: Store): SessionStore {
  const find = database
    .select()
    .from(sessions)
    .where(eq(sessions.key, sql.placeholder("key")))
    .prepare();
  const withAffinity = database
    .select({ key: sessions.key })
    .from(sessions)
    .where(eq(sessions.affinity, sql.placeholder("id")))
    .orderBy(desc(sessions.lastActiveAt))
    .limit(1)
    .prepare();
  return {
    find: (key) => find.get({ key }),
    all: () => database.select().from(sessions).orderBy(desc(sessions.lastActiveAt)).all(),
    latest: (count) => database.select().from(sessions).orderBy(desc(sessions.lastActiveAt)).limit(count).all(),
    past: (key) =>
      database.select().from(pastSessions).where(eq(pastSessions.key, key)).orderBy(pastSessions.createdAt).all(),
    branches: (key) =>
      database.select().from(sessions).where(eq(sessions.branchOf, key)).orderBy(desc(sessions.lastActiveAt)).all(),
    branched: () =>
      database
        .selectDistinct({ key: sessions.branchOf })
        .from(sessions)
        .where(isNotNull(sessions.branchOf))
        .all()
        .flatMap(({ key }) => key ?? []),
    withAffinity: (id) => withAffinity.get({ id })?.key,
    save: (session) => {
      database.insert(sessions).values(session).onConflictDoUpdate({ target: sessions.key, set: session }).run();
    },
    renew: ({ claudeSession, key, workspace, createdAt, lastActiveAt }, next) =>
      database.transaction(() => {
        database.insert(pastSessions).values({ claudeSession, key, workspace, createdAt, endedAt: lastActiveAt }).run();
        database.update(sessions).set(next).where(eq(sessions.key, key)).run();
      }),
    remove: (key) =>
      database.transaction(() => {
        const past = database.delete(pastSessions).where(eq(pastSessions.key, key)).returning().all();
        const last = database.delete(sessions).where(eq(sessions.key, key)).returning().all();
        return [...past, ...last].map(({ claudeSession }) => claudeSession);
      }),
  };
}
