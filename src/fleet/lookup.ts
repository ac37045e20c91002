/** Finds the conversation of a request in Postgres, when this node does not have it. */
import { desc, eq, sql } from "drizzle-orm";
import type { Postgres } from "../store/postgres/connect.ts";
import { claims, sessions, turns } from "../store/postgres/tables.ts";
import type { SessionRow } from "../store/schema.ts";
import { fromPostgres, type StoredRow, TRACKED, type TrackedTable } from "./tracked-tables.ts";

const [SESSIONS] = TRACKED as [TrackedTable];

/** The conversation that last used an affinity id, such as OpenClaw's session id. */
export async function keyWithAffinity(postgres: Postgres, id: string): Promise<string | undefined> {
  const [row] = await postgres.run((database) =>
    database
      .select({ key: sessions.key })
      .from(sessions)
      .where(eq(sessions.affinity, id))
      .orderBy(desc(sessions.lastActiveAt))
      .limit(1),
  );
  return row?.key;
}

/** All conversations and branches, each with the node that has it, if one does. */
const SESSIONS_WITH_NODES = sql`sessions s
  LEFT JOIN claims ON claims.key = coalesce(s.branch_of, s.key)
  LEFT JOIN nodes ON nodes.id = claims.node AND lease_until > now()`;

/** The conversations, and branches of them, that no node has, the most recently used first. */
export async function restingSessions(postgres: Postgres): Promise<SessionRow[]> {
  const [row] = await postgres.run((database) =>
    database.execute<{ rows: StoredRow[] | null }>(sql`
      SELECT json_agg(s ORDER BY last_active_at DESC) AS rows FROM ${SESSIONS_WITH_NODES} WHERE nodes.id IS NULL`),
  );
  return (row?.rows ?? []).map((one: StoredRow) => fromPostgres(SESSIONS, one) as SessionRow);
}

/** A conversation that another node has, or none. */
export interface OtherConversation {
  readonly row: SessionRow;
  /** `needs_you`: a permission prompt of it waits for a verdict. `cold`: no node has it. */
  readonly state: "needs_you" | "running" | "idle" | "cold";
}

/** The `count` conversations that were used last of those that a node does not have, the latest first. */
export async function otherConversations(
  postgres: Postgres,
  node: string,
  count: number,
): Promise<OtherConversation[]> {
  type Found = { row: StoredRow; turn: string | null; held: boolean; asks: boolean };
  const [found] = await postgres.run((database) =>
    database.execute<{ rows: Found[] | null }>(sql`
      SELECT json_agg(one) AS rows FROM (
        SELECT to_json(s) AS row, nodes.id IS NOT NULL AS held,
          EXISTS (SELECT 1 FROM permissions WHERE session = s.key AND verdict IS NULL) AS asks,
          (SELECT state FROM turns WHERE session = s.key ORDER BY position DESC LIMIT 1) AS turn
        FROM ${SESSIONS_WITH_NODES}
        WHERE nodes.id IS DISTINCT FROM ${node} ORDER BY last_active_at DESC LIMIT ${count}) one`),
  );
  const isRunning = (turn: string | null) => turn === "sent" || turn === "running";
  return (found?.rows ?? []).map(({ row, turn, held, asks }: Found) => ({
    row: fromPostgres(SESSIONS, row) as SessionRow,
    state: !held ? "cold" : asks ? "needs_you" : isRunning(turn) ? "running" : "idle",
  }));
}

/** The conversation, or the branch, that a turn belongs to. */
export async function keyOfTurn(postgres: Postgres, turn: string): Promise<string | undefined> {
  const [row] = await postgres.run((database) =>
    database.select({ key: turns.session }).from(turns).where(eq(turns.id, turn)).limit(1),
  );
  return row?.key;
}

/**
 * The conversation that a branch belongs to, which is claimed with all its branches; the key itself for any other.
 * @returns undefined for a key that is unknown
 */
export async function rootOf(postgres: Postgres, key: string): Promise<string | undefined> {
  // Each part uses an index, which a join of both tables would not.
  const rows = await postgres.run((database) =>
    database
      .select({ branchOf: sessions.branchOf })
      .from(sessions)
      .where(eq(sessions.key, key))
      .unionAll(database.select({ branchOf: sql<string | null>`null` }).from(claims).where(eq(claims.key, key))),
  );
  return rows.length === 0 ? undefined : (rows.find(({ branchOf }) => branchOf !== null)?.branchOf ?? key);
}
