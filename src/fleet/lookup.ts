/** Finds the conversation of a request in Postgres, when this node does not have it. */
import { desc, eq, or, sql } from "drizzle-orm";
import type { Postgres } from "../store/postgres/connect.ts";
import { claims, sessions, turns } from "../store/postgres/tables.ts";
import type { SessionRow } from "../store/schema.ts";
import { fromPostgres, type StoredRow, TRACKED, type TrackedTable } from "./tracked-tables.ts";

/** The conversation that last used an affinity id, such as OpenClaw's session id. */
export async function keyWithAffinity(postgres: Postgres, id: string): Promise<string | undefined> {
  const [row] = await postgres.run((database) =>
    database
      .select({ key: sessions.key })
      .from(sessions)
      .where(eq(sessions.affinity, id))
      .orderBy(desc(sessions.lastActiveAt as never))
      .limit(1),
  );
  return row?.key;
}

/** The conversations, and branches of them, that no node has, the most recently used first. */
export async function restingSessions(postgres: Postgres): Promise<SessionRow[]> {
  const [row] = await postgres.run((database) =>
    database.execute<{ rows: StoredRow[] | null }>(sql`
      SELECT json_agg(s ORDER BY last_active_at DESC) AS rows FROM sessions s
        LEFT JOIN claims ON claims.key = coalesce(s.branch_of, s.key)
        LEFT JOIN nodes ON nodes.id = claims.node AND lease_until > now()
      WHERE nodes.id IS NULL`),
  );
  const [sessionsTable] = TRACKED;
  return (row?.rows ?? []).map((one: StoredRow) => fromPostgres(sessionsTable as TrackedTable, one) as SessionRow);
}

/** The conversation, or the branch, that a turn belongs to. */
export async function keyOfTurn(postgres: Postgres, turn: string): Promise<string | undefined> {
  const [row] = await postgres.run((database) =>
    database
      .select({ key: turns.session })
      .from(turns)
      .where(eq(turns.id as never, turn))
      .limit(1),
  );
  return row?.key;
}

/**
 * The conversation that a branch belongs to, which is claimed with all its branches; the key itself for any other.
 * @returns undefined for a key that is unknown
 */
export async function rootOf(postgres: Postgres, key: string): Promise<string | undefined> {
  const [row] = await postgres.run((database) =>
    database
      .select({ branchOf: sessions.branchOf })
      .from(claims)
      .fullJoin(sessions, eq(sessions.key, claims.key))
      .where(or(eq(sessions.key, key), eq(claims.key, key))),
  );
  return row && (row.branchOf ?? key);
}
