/** What is too old to be of use, a few rows at a time, so that no turn waits for it. */
import { and, asc, eq, inArray, isNull, lt, notInArray, or, sql } from "drizzle-orm";
import type { Store } from "./database.ts";
import { pastSessions, permissions, sessions, turns } from "./schema.ts";

/** So many rows take about a millisecond. */
const STEP = 200;

export interface Retention {
  /** Deletes some of the turns, questions and past sessions that were over before `before`. @returns how many; 0: there are no more */
  deleteSome(before: number): number;
  /** The conversations without a message since `before`, and those of one turn, which nobody can ask for again. */
  conversations(before: number): { readonly key: string; readonly isOneShot: boolean }[];
  /** Whether this is a conversation's claude session now. */
  isCurrent(claudeSession: string): boolean;
}

export function createRetention({ database }: Store): Retention {
  // There is no index on their time, but they were written in its order.
  const known = database.select({ key: sessions.key }).from(sessions);
  const oldest = database.select({ id: turns.id }).from(turns).orderBy(asc(sql`rowid`)).limit(STEP);
  return {
    deleteSome: (before) =>
      database.transaction(
        () =>
          database
            .delete(turns)
            .where(and(inArray(turns.id, oldest), lt(turns.endedAt, before)))
            .returning({ id: turns.id })
            .all().length +
          database
            .delete(permissions)
            .where(
              inArray(
                permissions.id,
                database
                  .select({ id: permissions.id })
                  .from(permissions)
                  // A rule that was given holds as long as its conversation does.
                  .where(
                    and(
                      lt(permissions.askedAt, before),
                      or(isNull(permissions.rule), notInArray(permissions.session, known)),
                    ),
                  )
                  .limit(STEP),
              ),
            )
            .returning({ id: permissions.id })
            .all().length +
          database
            .delete(pastSessions)
            .where(lt(pastSessions.endedAt, before))
            .returning({ id: pastSessions.claudeSession })
            .all().length,
      ),
    conversations: (before) =>
      database
        .select({ key: sessions.key, source: sessions.source })
        .from(sessions)
        .where(or(lt(sessions.lastActiveAt, before), inArray(sessions.source, ["one-shot", "side"])))
        .all()
        .map(({ key, source }) => ({ key, isOneShot: source === "one-shot" || source === "side" })),
    isCurrent: (claudeSession) =>
      database.select({ key: sessions.key }).from(sessions).where(eq(sessions.claudeSession, claudeSession)).get() !==
      undefined,
  };
}
