/** The tables of a conversation: those whose rows move with it from node to node, and how a row is written in Postgres. */
import { getTableColumns, getTableName, type Table } from "drizzle-orm";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import { pastSessions, permissions, sessionFigures, sessions, turns } from "../store/schema.ts";

export interface TrackedTable {
  readonly table: SQLiteTable;
  readonly name: string;
  /** Its columns, by their names in the database. */
  readonly columns: ReadonlyMap<string, { readonly property: string; readonly column: SQLiteColumn }>;
  /** The column that identifies a row. */
  readonly id: string;
  /** An expression for the key of the conversation, or of its branch, over a row that is called `row`. */
  readonly conversation: string;
}

const tracked = (table: SQLiteTable, id: string, conversation: string): TrackedTable => ({
  table,
  name: getTableName(table as Table),
  columns: new Map(
    Object.entries(getTableColumns(table)).map(([property, column]) => [column.name, { property, column }]),
  ),
  id,
  conversation,
});

/** In the order in which rows can be inserted. */
export const TRACKED: readonly TrackedTable[] = [
  tracked(sessions, "key", "coalesce(row.branch_of, row.key)"),
  tracked(pastSessions, "claude_session", "row.key"),
  tracked(turns, "id", "row.session"),
  tracked(permissions, "id", "row.session"),
  tracked(sessionFigures, "session", "row.session"),
];

/** A row by its columns' names, as SQLite and Postgres store it. */
export type StoredRow = Record<string, string | number | boolean | null>;

/** A row of Postgres as Drizzle inserts it into SQLite. Postgres's own columns are left out. */
export function fromPostgres({ columns }: TrackedTable, row: StoredRow): Record<string, unknown> {
  const values = [...columns].map(([name, { property, column }]) => {
    const value = row[name] ?? null;
    return [property, value === null || typeof value === "boolean" ? value : column.mapFromDriverValue(value)];
  });
  return Object.fromEntries(values);
}
