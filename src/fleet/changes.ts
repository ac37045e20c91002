/**
 * Notes which rows of the node's own database have changed, and are not in Postgres yet. Triggers do it, so that no code
 * that writes a row can forget to.
 */
import { sql } from "drizzle-orm";
import type { Store } from "../store/database.ts";
import { fromPostgres, type StoredRow, TRACKED, type TrackedTable } from "./tracked-tables.ts";

/** What has changed in one conversation. */
export interface ChangeSet {
  /** The rows as they are now. */
  readonly rows: ReadonlyMap<TrackedTable, readonly StoredRow[]>;
  /** The ids of rows that no longer exist. */
  readonly deleted: ReadonlyMap<TrackedTable, readonly string[]>;
  /** The last change among them. */
  readonly last: number;
}

export interface Changes {
  /** The keys of the conversations and branches with changes. */
  readonly keys: readonly string[];
  /** What has changed in these conversations and branches. */
  of(keys: readonly string[]): ChangeSet;
  /** They are in Postgres. What has changed again since then stays. */
  forget(keys: readonly string[], set: Pick<ChangeSet, "last">): void;
  /** Replaces all rows of these conversations by those of Postgres, which is no change. */
  load(keys: readonly string[], rows: Readonly<Record<string, readonly StoredRow[]>>): void;
}

export function trackChanges({ database }: Pick<Store, "database">): Changes {
  database.run(
    sql.raw(`CREATE TABLE changed (
      at INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, id TEXT NOT NULL, conversation TEXT NOT NULL,
      UNIQUE (name, id))`),
  );
  for (const table of TRACKED) for (const event of ["INSERT", "UPDATE", "DELETE"]) database.run(trigger(table, event));

  const inKeys = (keys: readonly string[]) => sql`(SELECT value FROM json_each(${JSON.stringify(keys)}))`;
  const changedIds = (table: TrackedTable, keys: readonly string[]) =>
    sql`(SELECT id FROM changed WHERE name = ${table.name} AND conversation IN ${inKeys(keys)})`;

  return {
    get keys() {
      return database.all<{ key: string }>(sql`SELECT DISTINCT conversation AS key FROM changed`).map(({ key }) => key);
    },
    of: (keys) => {
      const rows = new Map<TrackedTable, StoredRow[]>();
      const deleted = new Map<TrackedTable, string[]>();
      for (const table of TRACKED) {
        const columns = sql.raw([...table.columns.keys()].map((name) => `"${name}"`).join(", "));
        const [name, id] = [sql.raw(table.name), sql.raw(table.id)];
        const ids = changedIds(table, keys);
        const present = database.all<StoredRow>(
          sql`SELECT ${columns} FROM ${name} WHERE ${id} IN ${ids} ORDER BY rowid`,
        );
        const absent = database.all<{ id: string }>(
          sql`SELECT id FROM changed WHERE name = ${table.name} AND conversation IN ${inKeys(keys)}
            AND id NOT IN (SELECT ${id} FROM ${name})`,
        );
        if (present.length > 0) rows.set(table, present);
        if (absent.length > 0)
          deleted.set(
            table,
            absent.map(({ id }) => id),
          );
      }
      const [{ last } = { last: null }] = database.all<{ last: number | null }>(
        sql`SELECT max(at) AS last FROM changed`,
      );
      return { rows, deleted, last: last ?? 0 };
    },
    forget: (keys, { last }) => {
      database.run(sql`DELETE FROM changed WHERE at <= ${last} AND conversation IN ${inKeys(keys)}`);
    },
    load: (keys, rows) =>
      database.transaction((transaction) => {
        // Turns and figures are deleted with their conversation.
        for (const { name, conversation } of TRACKED) {
          const key = sql.raw(conversation.replaceAll("row.", ""));
          transaction.run(sql`DELETE FROM ${sql.raw(name)} WHERE ${key} IN ${inKeys(keys)}`);
        }
        for (const table of TRACKED) {
          for (const row of rows[table.name] ?? [])
            transaction.insert(table.table).values(fromPostgres(table, row)).run();
        }
        transaction.run(sql`DELETE FROM changed WHERE conversation IN ${inKeys(keys)}`);
      }),
  };
}

/**
 * A trigger that notes each row that an event changes. It deletes the row's earlier note, because in a trigger the
 * conflict clause of the statement that fired it counts, and that of an upsert is ABORT.
 */
function trigger({ name, id, conversation }: TrackedTable, event: string) {
  const row = event === "DELETE" ? "OLD" : "NEW";
  const key = conversation.replaceAll("row.", `${row}.`);
  return sql.raw(
    `CREATE TRIGGER changed_${name}_${event.toLowerCase()} AFTER ${event} ON ${name} BEGIN
      DELETE FROM changed WHERE name = '${name}' AND id = ${row}.${id};
      INSERT INTO changed (name, id, conversation) VALUES ('${name}', ${row}.${id}, ${key}); END`,
  );
}
