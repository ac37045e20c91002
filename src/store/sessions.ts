/** The conversations, by session key. */
import { desc, eq, sql } from "drizzle-orm";
import type { Store } from "./database.ts";
import { type PastSessionRow, pastSessions, type SessionRow, sessions } from "./schema.ts";

export interface SessionStore {
  find(key: string): SessionRow | undefined;
  /** All conversations, the most recently used first. */
  all(): SessionRow[];
  /** The `count` most recently used conversations, the most recent first. */
  latest(count: number): SessionRow[];
  /** The Claude sessions that a conversation had before its current one, oldest first. */
  pastSessions(key: string): PastSessionRow[];
  /** The branches of a conversation for other models, the most recently used first. */
  branches(key: string): SessionRow[];
  /** The key of the conversation that last used an affinity id, such as OpenClaw's session id. */
  keyWithAffinity(id: string): string | undefined;
  /** Inserts or updates a conversation. */
  save(session: Omit<SessionRow, "turns">): void;
  /** Gives a conversation a new Claude session, and keeps the last one among its past sessions. */
  replaceClaudeSession(last: SessionRow, next: SessionRow): void;
  /** Deletes a conversation and its turns. @returns its Claude sessions, including past ones */
  remove(key: string): string[];
}

export function createSessionStore({ database }: Store): SessionStore {
  const find = database
    .select()
    .from(sessions)
    .where(eq(sessions.key, sql.placeholder("key")))
    .prepare();
  const branches = database
    .select()
    .from(sessions)
    .where(eq(sessions.branchOf, sql.placeholder("key")))
    .orderBy(desc(sessions.lastActiveAt))
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
    pastSessions: (key) =>
      database.select().from(pastSessions).where(eq(pastSessions.key, key)).orderBy(pastSessions.createdAt).all(),
    branches: (key) => branches.all({ key }),
    keyWithAffinity: (id) => withAffinity.get({ id })?.key,
    save: (session) => {
      database.insert(sessions).values(session).onConflictDoUpdate({ target: sessions.key, set: session }).run();
    },
    replaceClaudeSession: ({ claudeSession, key, workspace, createdAt, lastActiveAt }, next) =>
      database.transaction(() => {
        database.insert(pastSessions).values({ claudeSession, key, workspace, createdAt, endedAt: lastActiveAt }).run();
        database.update(sessions).set(next).where(eq(sessions.key, key)).run();
      }),
    remove: (key) =>
      database.transaction(() => {
        const past = database.delete(pastSessions).where(eq(pastSessions.key, key)).returning().all();
        const current = database.delete(sessions).where(eq(sessions.key, key)).returning().all();
        return [...past, ...current].map(({ claudeSession }) => claudeSession);
      }),
  };
}
