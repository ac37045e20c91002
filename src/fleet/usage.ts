/**
 * The usage of a fleet. Each server counts its own turns, and writes its sums to Postgres under an id of its own. So
 * servers do not overwrite each other, and the sums of one that has ended stay.
 */
import { type SQL, sql } from "drizzle-orm";
import type { Store } from "../store/database.ts";
import type { Postgres } from "../store/postgres/connect.ts";
import { usageSums } from "../store/schema.ts";
import { COUNTS, columnFor, type SummedFigures } from "../store/usage.ts";
import type { UsageBy } from "../wire/usage.ts";
import type { StoredRow } from "./tracked-tables.ts";

const KEY = [usageSums.startsAt, usageSums.span, usageSums.conversation, usageSums.agent, usageSums.model].map(
  ({ name }) => name,
);
const FIGURES = [...COUNTS.map((count) => usageSums[count].name), usageSums.firstTexts.name];

export interface FleetUsage {
  /** Writes the sums that have changed. One call at a time. @throws RequestError (`database_unavailable`) */
  flush(): Promise<void>;
  /**
   * What the other servers have counted since a time, in Unix ms, as they wrote it last.
   * @throws RequestError (`database_unavailable`)
   */
  ofOthers(by: UsageBy, since: number): Promise<readonly SummedFigures[]>;
}

export function createFleetUsage({ database }: Pick<Store, "database">, postgres: Postgres): FleetUsage {
  // Not that of the lease, which is another one after an eviction: the sums in memory go on.
  const server = crypto.randomUUID();
  database.run(
    sql.raw(`CREATE TABLE changed_usage (at INTEGER PRIMARY KEY AUTOINCREMENT, ${list(KEY)}, UNIQUE (${list(KEY)}))`),
  );
  for (const event of ["INSERT", "UPDATE", "DELETE"]) database.run(trigger(event));

  return {
    flush: async () => {
      const notes = database.all<StoredRow>(sql`SELECT * FROM changed_usage ORDER BY at`);
      const last = notes.at(-1)?.at;
      if (last === undefined) return;
      const changed = sql.raw(`(SELECT ${list(KEY)} FROM changed_usage)`);
      const isKey = sql.raw(`(${list(KEY)})`);
      const present = database.all<StoredRow>(sql`SELECT * FROM usage_sums WHERE ${isKey} IN ${changed}`);
      const absent = database.all<StoredRow>(
        sql`SELECT ${sql.raw(list(KEY))} FROM changed_usage WHERE ${isKey} NOT IN (SELECT ${sql.raw(list(KEY))} FROM usage_sums)`,
      );
      await postgres.run((connection) => connection.execute(replaceRows(server, present, absent)));
      database.run(sql`DELETE FROM changed_usage WHERE at <= ${last}`);
    },
    ofOthers: async (by, since) => {
      const column = columnFor(by);
      const sums = COUNTS.map((count) => `sum("${usageSums[count].name}")::float8 AS "${count}"`);
      const rows = await postgres.run((connection) =>
        connection.execute(sql`
          SELECT ${sql.identifier(usageSums[column].name)} AS key, ${sql.raw(sums.join(", "))},
            json_agg(first_texts::json)::text AS "firstTexts"
          FROM usage_sums WHERE starts_at >= ${since} AND server <> ${server} GROUP BY 1`),
      );
      // Postgres gives a bigint as text.
      const keyOf = ({ key }: { key?: unknown }) => (column === "startsAt" ? Number(key) : key);
      return rows.map((row) => ({ ...row, key: keyOf(row) }) as SummedFigures);
    },
  };
}

const list = (names: readonly string[], prefix = ""): string => names.map((name) => `${prefix}"${name}"`).join(", ");

/** Deletes the row's earlier note first, as in `changes.ts`. */
function trigger(event: string): SQL {
  const row = event === "DELETE" ? "OLD" : "NEW";
  return sql.raw(
    `CREATE TRIGGER changed_usage_${event.toLowerCase()} AFTER ${event} ON usage_sums BEGIN
      DELETE FROM changed_usage WHERE (${list(KEY)}) = (${list(KEY, `${row}.`)});
      INSERT INTO changed_usage (${list(KEY)}) VALUES (${list(KEY, `${row}.`)}); END`,
  );
}

/** Deletes rows of this server that no longer exist, and writes the others, in one statement. */
function replaceRows(server: string, present: readonly StoredRow[], absent: readonly StoredRow[]): SQL {
  const rows = (all: readonly StoredRow[]) =>
    sql`json_populate_recordset(null::usage_sums, ${JSON.stringify(all)}::json) r`;
  const updates = FIGURES.map((name) => `"${name}" = excluded."${name}"`).join(", ");
  return sql`
    WITH deleted AS (
      DELETE FROM usage_sums USING ${rows(absent)}
      WHERE usage_sums.server = ${server} AND ${sql.raw(KEY.map((name) => `usage_sums."${name}" = r."${name}"`).join(" AND "))}
    )
    INSERT INTO usage_sums (server, ${sql.raw(list([...KEY, ...FIGURES]))})
    SELECT ${server}::uuid, ${sql.raw(list([...KEY, ...FIGURES], "r."))} FROM ${rows(present)}
    ON CONFLICT (${sql.raw(list(KEY))}, server) DO UPDATE SET ${sql.raw(updates)}`;
}
