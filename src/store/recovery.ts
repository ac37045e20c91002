/** Closes what a killed server left open. Each start does this before anything else uses the database. */
import { inArray, isNull } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import { permissions, turns } from "./schema.ts";

/**
 * Marks the turns that were running as lost, and denies the permission prompts that waited: the processes that ran them
 * were killed together with the server.
 * @param now Unix time in milliseconds
 */
export function closeUnfinished(database: Pick<BunSQLiteDatabase, "update">, now: number): void {
  database
    .update(turns)
    .set({ state: "lost", endedAt: now })
    .where(inArray(turns.state, ["sent", "running"]))
    .run();
  database
    .update(permissions)
    .set({ verdict: "deny", way: "gone", decidedAt: now })
    .where(isNull(permissions.verdict))
    .run();
}
