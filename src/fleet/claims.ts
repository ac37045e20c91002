/** Which node has a conversation. A claim is one row; only its owner, under the same epoch, may write what belongs to it. */
import { and, eq, sql } from "drizzle-orm";
import { RequestError } from "../core/errors.ts";
import type { Postgres, PostgresDatabase } from "../store/postgres/connect.ts";
import { claims, nodes } from "../store/postgres/tables.ts";
import { type LiveNode, leaseLeftMs } from "./nodes.ts";

/** A conversation that this node has. */
export interface Claim {
  readonly key: string;
  readonly node: string;
  /** Grows with each claim. */
  readonly epoch: number;
  /** The number of commits so far, under this claim and earlier ones. */
  readonly seq: number;
}

/** Another node that has a conversation, as it was when Postgres was asked. */
export type Owner = Pick<LiveNode, "id" | "name" | "url" | "leaseLeftMs">;

export const OWNER = { id: nodes.id, name: nodes.name, url: nodes.url, leaseLeftMs };

export type ClaimResult = { readonly claim: Claim } | { readonly owner: Owner };

/** A node that loses the race for a conversation again and again would mean a fault. */
const ATTEMPTS = 5;

/**
 * Claims a conversation for a node: one that no node has, or whose node's lease has ended.
 * @returns the claim, or the node that has it
 * @throws RequestError (`database_unavailable`)
 */
export async function claim(postgres: Postgres, key: string, node: string): Promise<ClaimResult> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const result = await postgres.run((database) => tryClaim(database, key, node));
    if (result) return result;
  }
  throw new RequestError("database_unavailable", "This conversation changes its node just now. Try again.", {
    retryAfter: 1,
  });
}

/** @returns null when something has changed in between */
async function tryClaim(database: PostgresDatabase, key: string, node: string): Promise<ClaimResult | null> {
  // A claim of this node itself is left from a request whose answer did not arrive.
  const [mine] = await database.execute<{ epoch: string; seq: string }>(sql`
    INSERT INTO claims (key, node, epoch, seq) VALUES (${key}, ${node}, 1, 0)
    ON CONFLICT (key) DO UPDATE SET node = excluded.node, epoch = claims.epoch + 1
      WHERE claims.node IS NULL OR claims.node = excluded.node
    RETURNING epoch, seq`);
  if (mine) return { claim: { key, node, epoch: Number(mine.epoch), seq: Number(mine.seq) } };
  const owner = await readOwner(database, key);
  if (!owner || owner.leaseLeftMs > 0) return owner && { owner };
  // The row's lock decides between this and a late renewal. The claims of the node become free with its row.
  await database.execute(sql`DELETE FROM nodes WHERE id = ${owner.id} AND lease_until < now()`);
  return null;
}

/** The node of a claim, although its lease may have ended. */
async function readOwner(database: PostgresDatabase, key: string): Promise<Owner | null> {
  const [owner] = await database
    .select(OWNER)
    .from(claims)
    .innerJoin(nodes, eq(nodes.id, claims.node))
    .where(eq(claims.key, key));
  return owner ?? null;
}

/** The node that has a conversation; null when none has it, or the lease of the node has ended. */
export async function findOwner(postgres: Postgres, key: string): Promise<Owner | null> {
  const owner = await postgres.run((database) => readOwner(database, key));
  return owner && owner.leaseLeftMs > 0 ? owner : null;
}

/** A claim of this node as Postgres has it; null when it no longer holds. @throws RequestError (`database_unavailable`) */
export async function findClaim(postgres: Postgres, { key, node, epoch }: Claim): Promise<Claim | null> {
  const [row] = await postgres.run((database) =>
    database
      .select({ seq: claims.seq })
      .from(claims)
      .where(and(eq(claims.key, key), eq(claims.node, node), eq(claims.epoch, epoch))),
  );
  return row ? { key, node, epoch, seq: row.seq } : null;
}

/** Gives a conversation back. It does nothing when another node has it already. */
export async function release(postgres: Postgres, { key, node, epoch }: Claim): Promise<void> {
  await postgres.run((database) =>
    database.execute(sql`UPDATE claims SET node = NULL WHERE key = ${key} AND node = ${node} AND epoch = ${epoch}`),
  );
}
