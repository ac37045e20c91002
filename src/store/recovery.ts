/** Closes what a killed server left open. Each start does this before anything else uses the database. */
import { and, eq, inArray, isNull } from "drizzle-orm";
import type { BunSQLiteDatabase } from "drizzle-orm/bun-sqlite";
import type * as schema from "./schema.ts";
import { permissions, turns } from "./schema.ts";
import { createUsageSums } from "./usage.ts";

/**
 * Marks the turns that were running as lost, and denies the permission prompts that waited: the processes that ran them
 * were killed together with the server.
 * @param now Unix time in milliseconds
 * @param keys only those of these conversations; all if absent
 */
export function closeUnfinished(
  database: BunSQLiteDatabase<typeof schema>,
  now: number,
  keys?: readonly string[],
): void {
  const sums = createUsageSums({ database });
  database.transaction(() => {
    const unfinished = database
      .select({ id: turns.id })
      .from(turns)
      .where(and(inArray(turns.state, ["sent", "running"]), keys && inArray(turns.session, [...keys])));
    for (const { id } of unfinished.all()) {
      const before = sums.turn(id);
      if (before) sums.replace(before, { ...before, state: "lost" });
      database.update(turns).set({ state: "lost", endedAt: now }).where(eq(turns.id, id)).run();
    }
    database
      .update(permissions)
      .set({ verdict: "deny", way: "gone", decidedAt: now })
      .where(and(isNull(permissions.verdict), keys && inArray(permissions.session, [...keys])))
      .run();
  });
}
