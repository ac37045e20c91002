/** The nodes of the fleet whose lease holds. */
import { sql } from "drizzle-orm";
import type { Postgres } from "../store/postgres/connect.ts";

export interface LiveNode {
  /** Of its lease: new with each start. */
  readonly id: string;
  readonly name: string;
  readonly url: string;
  readonly leaseLeftMs: number;
  readonly isDraining: boolean;
  /** How many processes it may run, and how many it runs. */
  readonly places: number;
  readonly used: number;
  /** Requests that wait there. */
  readonly waiting: number;
  readonly typicalTurnMs: number;
  readonly version: string;
}

type Row = Record<"id" | "name" | "url" | "left" | "version", string> &
  Record<"places" | "used" | "waiting" | "typical", number> & { draining: boolean };

/** The least used first. */
export async function liveNodes(postgres: Postgres): Promise<LiveNode[]> {
  const rows = await postgres.run((database) =>
    database.execute<Row>(sql`
      SELECT id, name, url, extract(epoch FROM lease_until - now()) * 1000 AS left, draining, places, used, waiting,
        typical_turn_ms AS typical, version
      FROM nodes WHERE lease_until > now() ORDER BY used::float / places, waiting, name`),
  );
  return rows.map(({ left, draining, typical, ...row }) => ({
    id: row.id,
    name: row.name,
    url: row.url,
    places: row.places,
    used: row.used,
    waiting: row.waiting,
    version: row.version,
    leaseLeftMs: Number(left),
    isDraining: draining,
    typicalTurnMs: typical,
  }));
}
