/** What an operator sees of the nodes, and does to them from any machine of the fleet: drain and evict. */
import { and, count, eq, isNotNull } from "drizzle-orm";
import type { Postgres } from "../store/postgres/connect.ts";
import { claims, members, nodes } from "../store/postgres/tables.ts";
import { isLive, leaseLeftMs } from "./nodes.ts";

export interface ListedNode {
  readonly name: string;
  readonly url: string;
  /** `down`: a member whose server does not run. `expired`: its server has not renewed the lease. */
  readonly state: "live" | "draining" | "expired" | "down";
  /** What is left of its lease, in ms; null when it is down. */
  readonly leaseLeftMs: number | null;
  readonly places: number;
  readonly used: number;
  readonly waiting: number;
  readonly version: string | null;
  /** How many conversations it has. */
  readonly claims: number;
  /** Whether the nodes trust its certificate. */
  readonly isMember: boolean;
}

/** All nodes and members, by their names. @throws RequestError (`database_unavailable`) */
export async function listNodes(postgres: Postgres): Promise<readonly ListedNode[]> {
  const [running, held, all] = await postgres.run((database) =>
    Promise.all([
      database.select({ node: nodes, left: leaseLeftMs }).from(nodes).orderBy(nodes.leaseUntil),
      database
        .select({ node: claims.node, count: count() })
        .from(claims)
        .where(isNotNull(claims.node))
        .groupBy(claims.node),
      database.select({ name: members.name, url: members.url }).from(members),
    ]),
  );
  const heldBy = new Map(held.map(({ node, count }) => [node, count]));
  const memberNames = new Set(all.map(({ name }) => name));
  const runningNames = new Set(running.map(({ node }) => node.name));
  const listed = running.map(({ node, left }): ListedNode => {
    const { name, url, draining, places, used, waiting, version } = node;
    const leftMs = Math.max(0, Math.round(left));
    const state = leftMs === 0 ? "expired" : draining ? "draining" : "live";
    const isMember = memberNames.has(name);
    return {
      name,
      url,
      state,
      leaseLeftMs: leftMs,
      places,
      used,
      waiting,
      version,
      claims: heldBy.get(node.id) ?? 0,
      isMember,
    };
  });
  const down = all
    .filter(({ name }) => !runningNames.has(name))
    .map(({ name, url }): ListedNode => {
      const nothing = { leaseLeftMs: null, places: 0, used: 0, waiting: 0, version: null, claims: 0 };
      return { name, url, state: "down", ...nothing, isMember: true };
    });
  return [...listed, ...down].toSorted((one, other) => one.name.localeCompare(other.name));
}

/**
 * Asks a node to take no more conversations, or again. It notices with its next renewal.
 * @returns false when no node of this name runs
 * @throws RequestError (`database_unavailable`)
 */
export async function setDraining(postgres: Postgres, name: string, draining: boolean): Promise<boolean> {
  const changed = await postgres.run((database) =>
    database
      .update(nodes)
      .set({ draining })
      .where(and(eq(nodes.name, name), isLive))
      .returning({ id: nodes.id }),
  );
  return changed.length > 0;
}

/**
 * Ends a node's lease, so that other nodes may take its conversations. What it still writes about them is refused.
 * @returns false when there is no lease of this name
 * @throws RequestError (`database_unavailable`)
 */
export async function evictNode(postgres: Postgres, name: string): Promise<boolean> {
  const evicted = await postgres.run((database) =>
    database.delete(nodes).where(eq(nodes.name, name)).returning({ id: nodes.id }),
  );
  return evicted.length > 0;
}
