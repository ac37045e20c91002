/**
 * Calls of a client's tools that wait for their results. A request with results may name no conversation, and then the
 * ids of the calls are all by which its node is found.
 */
import { and, eq, inArray } from "drizzle-orm";
import type { Postgres } from "../store/postgres/connect.ts";
import { nodes, parked } from "../store/postgres/tables.ts";
import { OWNER, type Owner } from "./claims.ts";
import { isLive } from "./nodes.ts";

/** @throws RequestError (`database_unavailable`) */
export async function recordCalls(postgres: Postgres, node: string, ids: readonly string[]): Promise<void> {
  await postgres.run((database) =>
    database
      .insert(parked)
      .values(ids.map((id) => ({ id, node })))
      .onConflictDoNothing(),
  );
}

/** The node on which one of these calls waits; null if none is known, or the lease of the node has ended. */
export async function nodeOfCalls(postgres: Postgres, ids: readonly string[]): Promise<Owner | null> {
  if (ids.length === 0) return null;
  const [owner] = await postgres.run((database) =>
    database
      .select(OWNER)
      .from(parked)
      .innerJoin(nodes, eq(nodes.id, parked.node))
      .where(and(inArray(parked.id, [...ids]), isLive))
      .limit(1),
  );
  return owner ?? null;
}

/** The results of these calls have reached their node. */
export async function forgetCalls(postgres: Postgres, ids: readonly string[]): Promise<void> {
  await postgres.run((database) => database.delete(parked).where(inArray(parked.id, [...ids])));
}
