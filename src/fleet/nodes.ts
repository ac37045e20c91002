/** The nodes of the fleet whose lease holds. */
import { asc, gt, sql } from "drizzle-orm";
import type { Postgres } from "../store/postgres/connect.ts";
import { nodes } from "../store/postgres/tables.ts";

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

/** What is left of a lease, in ms, by the clock of Postgres; negative when it has ended. */
export const leaseLeftMs = sql`extract(epoch FROM ${nodes.leaseUntil} - now()) * 1000`.mapWith(Number);

/** The lease of the node has not ended. */
export const isLive = gt(nodes.leaseUntil, sql`now()`);

/** The least used first. */
export const liveNodes = (postgres: Postgres): Promise<LiveNode[]> =>
  postgres.run((database) =>
    database
      .select({
        id: nodes.id,
        name: nodes.name,
        url: nodes.url,
        leaseLeftMs,
        isDraining: nodes.draining,
        places: nodes.places,
        used: nodes.used,
        waiting: nodes.waiting,
        typicalTurnMs: nodes.typicalTurnMs,
        version: nodes.version,
      })
      .from(nodes)
      .where(isLive)
      .orderBy(sql`${nodes.used}::float / ${nodes.places}`, asc(nodes.waiting), asc(nodes.name)),
  );
