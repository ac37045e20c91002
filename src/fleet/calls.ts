/**
 * Calls of a client's tools that wait for their results. A request with results may name no conversation, and then the
 * ids of the calls are all by which its node is found.
 */
import { inArray, sql } from "drizzle-orm";
import type { Postgres } from "../store/postgres/connect.ts";
import { parked } from "../store/postgres/tables.ts";
import type { Owner } from "./claims.ts";

/** @throws RequestError (`database_unavailable`) */
export async function recordCalls(postgres: Postgres, node: string, ids: readonly string[]): Promise<void> {
  await postgres.run((database) =>
    database
      .insert(parked)
      .values(ids.map((id) => ({ id, node })))
      .onConflictDoNothing(),
  );
}

/**
 * The node on which one of these calls waits. They are forgotten with that, as their results are on the way.
 * @returns null if none is known, or the lease of the node has ended
 */
export async function nodeOfCalls(postgres: Postgres, ids: readonly string[]): Promise<Owner | null> {
  if (ids.length === 0) return null;
  const [found] = await postgres.run((database) =>
    database.execute<{ id: string; name: string; url: string; left: string }>(sql`
      WITH calls AS (DELETE FROM parked WHERE ${inArray(parked.id, [...ids])} RETURNING node)
      SELECT nodes.id, name, url, extract(epoch FROM lease_until - now()) * 1000 AS left
      FROM calls JOIN nodes ON nodes.id = calls.node WHERE lease_until > now() LIMIT 1`),
  );
  return found ? { id: found.id, name: found.name, url: found.url, leaseLeftMs: Number(found.left) } : null;
}
