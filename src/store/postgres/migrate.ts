/** Makes the tables of a fleet, and changes those of an earlier version. Nodes that start together wait for each other. */
import { join } from "node:path";
import { sql } from "drizzle-orm";
import { readMigrationFiles } from "drizzle-orm/migrator";
import type { Postgres } from "./connect.ts";

/** The name differs from that of SQLite's: the compiled program has both folders side by side. */
const FLEET_MIGRATIONS = join(import.meta.dir, "fleet-migrations");

/** Any number that is ours: nodes take the lock with it. */
const MIGRATION_LOCK = 5_990_318;
const DEADLINE_MS = 60_000;

/**
 * Drizzle's own migrator takes no lock, so that two nodes could both apply a migration. The table has its form.
 * @throws RequestError (`database_unavailable`)
 */
export async function migrateFleet(postgres: Postgres): Promise<void> {
  const migrations = readMigrationFiles({ migrationsFolder: FLEET_MIGRATIONS });
  await postgres.run(
    (database) =>
      database.transaction(async (transaction) => {
        await transaction.execute(sql`select pg_advisory_xact_lock(${MIGRATION_LOCK})`);
        await transaction.execute(
          sql`create table if not exists __drizzle_migrations (id serial primary key, hash text not null, created_at bigint)`,
        );
        const applied = await transaction.execute<{ at: string }>(
          sql`select created_at as at from __drizzle_migrations`,
        );
        const known = new Set(applied.map(({ at }) => Number(at)));
        for (const { folderMillis, hash, sql: statements } of migrations) {
          if (known.has(folderMillis)) continue;
          for (const statement of statements) await transaction.execute(sql.raw(statement));
          await transaction.execute(
            sql`insert into __drizzle_migrations (hash, created_at) values (${hash}, ${folderMillis})`,
          );
        }
      }),
    DEADLINE_MS,
  );
}
