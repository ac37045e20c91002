/** Deletes what has expired from the database of a fleet: only what no node has, a little at a time. */
import { type SQL, sql } from "drizzle-orm";
import type { Postgres } from "../store/postgres/connect.ts";

/** So many conversations are deleted with one statement. */
const BATCH = 100;
/** The turns of so many conversations are looked at with one statement. */
const TURNS_BATCH = 1_000;

/**
 * @param before in Unix ms
 * @returns how many conversations were deleted
 * @throws RequestError (`database_unavailable`)
 */
export async function deleteExpired(postgres: Postgres, before: number): Promise<number> {
  let conversations = 0;
  for (;;) {
    const deleted = await postgres.run((database) => database.execute(expiredConversations(before)));
    conversations += deleted.length;
    if (deleted.length < BATCH) break;
  }
  for (let after = ""; ; ) {
    const [looked] = await postgres.run((database) =>
      database.execute<{ last: string | null; conversations: number }>(expiredTurns(before, after)),
    );
    if (!looked?.last || looked.conversations < TURNS_BATCH) break;
    after = looked.last;
  }
  for (const leftover of leftovers(before)) await postgres.run((database) => database.execute(leftover));
  return conversations;
}

/**
 * Turns of the conversations that no node has, which come after a key; those of the others are deleted by their nodes.
 * The time of a turn has no index, since each turn would have to pay for it.
 */
const expiredTurns = (before: number, after: string) => sql`
  WITH free AS (
    SELECT s.key FROM sessions s JOIN claims ON claims.key = coalesce(s.branch_of, s.key)
    WHERE s.key > ${after} AND node IS NULL ORDER BY s.key LIMIT ${TURNS_BATCH}
  ),
  removed AS (DELETE FROM turns USING free WHERE turns.session = free.key AND turns.ended_at < ${before})
  SELECT max(key) AS last, count(*)::int AS conversations FROM free`;

/** No node has the conversation, or the branch, with this key. */
const isFree = (key: SQL) => sql`NOT EXISTS (
  SELECT 1 FROM sessions s JOIN claims ON claims.key = coalesce(s.branch_of, s.key)
  WHERE s.key = ${key} AND claims.node IS NOT NULL)`;

/** Permission prompts, past sessions and claims, as far as no conversation needs them. */
const leftovers = (before: number) => [
  // The rule of a prompt is needed until its conversation is deleted.
  sql`DELETE FROM permissions p WHERE asked_at < ${before} AND ${isFree(sql`p.session`)}
    AND (rule IS NULL OR NOT EXISTS (SELECT 1 FROM sessions s WHERE s.key = p.session))`,
  sql`WITH past AS (
      DELETE FROM past_sessions p WHERE ended_at < ${before} AND ${isFree(sql`p.key`)} RETURNING claude_session
    )
    DELETE FROM files USING past WHERE files.claude_session = past.claude_session
      AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.claude_session = past.claude_session)`,
  sql`DELETE FROM claims WHERE node IS NULL AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.key = claims.key)`,
];

/** The claim is locked, so that no node can take the conversation meanwhile; one that is being taken is left out. */
const expiredConversations = (before: number) => sql`
  WITH expired AS (
    SELECT claims.key FROM claims JOIN sessions USING (key)
    WHERE node IS NULL AND last_active_at < ${before}
      AND NOT EXISTS (SELECT 1 FROM sessions branch WHERE branch.branch_of = claims.key AND branch.last_active_at >= ${before})
    LIMIT ${BATCH} FOR UPDATE OF claims SKIP LOCKED
  ),
  removed AS (
    DELETE FROM sessions USING expired WHERE sessions.key = expired.key OR branch_of = expired.key
    RETURNING sessions.key, claude_session
  ),
  past AS (DELETE FROM past_sessions USING removed WHERE past_sessions.key = removed.key RETURNING past_sessions.claude_session),
  bytes AS (
    DELETE FROM files WHERE claude_session IN (SELECT claude_session FROM removed UNION ALL SELECT claude_session FROM past)
  ),
  prompts AS (DELETE FROM permissions USING removed WHERE permissions.session = removed.key)
  DELETE FROM claims USING expired WHERE claims.key = expired.key RETURNING claims.key`;
