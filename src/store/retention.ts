/** Deletes old rows, a few at a time, so that running turns are not delayed. */
import { and, asc, eq, inArray, isNull, lt, notInArray, or, sql } from "drizzle-orm";
import type { Store } from "./database.ts";
import { pastSessions, permissions, sessions, turns } from "./schema.ts";

/** Deleting this many rows takes about a millisecond. */
const BATCH_ROWS = 200;

export interface Retention {
  /**
   * Deletes some of the turns, permission prompts and past sessions that ended before `before`.
   * @returns how many; 0 when no more are left
   */
  deleteBatch(before: number): number;
  /** Conversations without a message since `before`, and those of one-shots, to which no client can return. */
  expiredConversations(before: number): { readonly key: string; readonly removesTranscript: boolean }[];
  /** Whether a conversation uses this Claude session now, not only in the past. */
  isCurrentClaudeSession(claudeSession: string): boolean;
}

export function createRetention({ database }: Store): Retention {
  const known = database.select({ key: sessions.key }).from(sessions);
  // The times have no index, but the rows were inserted in the order of their times.
  const oldest = database.select({ id: turns.id }).from(turns).orderBy(asc(sql`rowid`)).limit(BATCH_ROWS);
  return {
    deleteBatch: (before) =>
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
                  // The rule of a prompt is needed until its conversation is deleted.
                  .where(
                    and(
                      lt(permissions.askedAt, before),
                      or(isNull(permissions.rule), notInArray(permissions.session, known)),
                    ),
                  )
                  .limit(BATCH_ROWS),
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
    expiredConversations: (before) =>
      database
        .select({ key: sessions.key, source: sessions.source })
        .from(sessions)
        .where(or(lt(sessions.lastActiveAt, before), inArray(sessions.source, ["one-shot", "side", "unnamed"])))
        .all()
        .map(({ key, source }) => ({ key, removesTranscript: ["response", "one-shot", "side"].includes(source) })),
    isCurrentClaudeSession: (claudeSession) =>
      database.select({ key: sessions.key }).from(sessions).where(eq(sessions.claudeSession, claudeSession)).get() !==
      undefined,
  };
}
