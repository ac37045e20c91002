/**
 * The tables of a fleet, in Postgres. Those that SQLite has too are made from its schema, so that their columns agree.
 * drizzle-kit generates the migrations from this file (`SYNTHESIS_DATABASE=postgres://x bun run migration`). It writes
 * `"public".` before tables that are referenced: remove that, since the tables of a cell are in a schema of its own.
 *
 * Times are Unix milliseconds, as in SQLite; only a lease is a time of Postgres, whose clock decides when it ends.
 */
import { getTableColumns } from "drizzle-orm";
import {
  bigint,
  boolean,
  customType,
  doublePrecision,
  index,
  integer,
  type PgColumnBuilderBase,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uuid,
} from "drizzle-orm/pg-core";
import type { SQLiteColumn, SQLiteTable } from "drizzle-orm/sqlite-core";
import * as sqlite from "../schema.ts";

const bytes = customType<{ data: Uint8Array; driverData: Uint8Array }>({ dataType: () => "bytea" });

/** A column of Postgres for the same values. JSON stays text: the order of its keys and its numbers must not change. */
function columnLike(column: SQLiteColumn): PgColumnBuilderBase {
  const like = {
    SQLiteText: () => text(column.name),
    SQLiteTextJson: () => text(column.name),
    SQLiteInteger: () => bigint(column.name, { mode: "number" }),
    SQLiteBoolean: () => boolean(column.name),
    SQLiteReal: () => doublePrecision(column.name),
  }[column.columnType];
  if (!like) throw new Error(`No column of Postgres is known for ${column.columnType}.`);
  const builder = like();
  if (column.primary) builder.primaryKey();
  if (column.notNull) builder.notNull();
  return builder;
}

const columnsLike = (table: SQLiteTable): Record<string, PgColumnBuilderBase> =>
  Object.fromEntries(Object.entries(getTableColumns(table)).map(([key, column]) => [key, columnLike(column)]));

/** The machines of the fleet. Each node trusts exactly the certificates that are here. */
export const members = pgTable("members", {
  name: text().primaryKey(),
  /** Where other nodes reach it, such as `https://10.0.0.5:18991`. */
  url: text().notNull(),
  /** In PEM. */
  certificate: text().notNull(),
  /** The certificate that it will use next; the nodes trust both until then. */
  nextCertificate: text("next_certificate"),
  /** Shows whether two machines have the same keys for clients and for control, without showing the keys. */
  keys: text().notNull(),
  joinedAt: bigint("joined_at", { mode: "number" }).notNull(),
});

/** The servers that run, or ran until their lease ended. */
export const nodes = pgTable("nodes", {
  /** New with each start of the server. */
  id: uuid().primaryKey(),
  name: text().notNull(),
  url: text().notNull(),
  leaseUntil: timestamp("lease_until", { withTimezone: true }).notNull(),
  /** It takes no more conversations. */
  draining: boolean().notNull().default(false),
  /** How many processes it may run, and how many it runs. */
  places: integer().notNull(),
  used: integer().notNull(),
  /** Requests that wait there. */
  waiting: integer().notNull(),
  typicalTurnMs: integer("typical_turn_ms").notNull(),
  version: text().notNull(),
});

/** Which node has each conversation. A row outlives its node. */
export const claims = pgTable(
  "claims",
  {
    /** The key of the conversation, which its branches share. */
    key: text().primaryKey(),
    node: uuid().references(() => nodes.id, { onDelete: "set null" }),
    /** Grows with each claim. What an earlier owner still writes is refused. */
    epoch: bigint({ mode: "number" }).notNull(),
    /** Grows with each commit of its owner. */
    seq: bigint({ mode: "number" }).notNull(),
  },
  (table) => [index("claims_node").on(table.node)],
);

export const sessions = pgTable(
  "sessions",
  {
    ...columnsLike(sqlite.sessions),
    key: text().primaryKey(),
    affinity: text(),
    branchOf: text("branch_of"),
    lastActiveAt: bigint("last_active_at", { mode: "number" }).notNull(),
  },
  (table) => [index("sessions_affinity").on(table.affinity), index("sessions_branch_of").on(table.branchOf)],
);

export const pastSessions = pgTable(
  "past_sessions",
  { ...columnsLike(sqlite.pastSessions), key: text().notNull() },
  (table) => [index("past_sessions_key").on(table.key)],
);

export const turns = pgTable(
  "turns",
  {
    ...columnsLike(sqlite.turns),
    id: text().primaryKey(),
    session: text()
      .notNull()
      .references(() => sessions.key, { onDelete: "cascade" }),
    claudeSession: text("claude_session").notNull(),
    /** The order of insertion. */
    position: bigint({ mode: "number" }).generatedAlwaysAsIdentity(),
    /** The claim under which the turn was sent. */
    epoch: bigint({ mode: "number" }).notNull().default(0),
  },
  (table) => [
    index("turns_session").on(table.session, table.position),
    index("turns_claude_session").on(table.claudeSession),
  ],
);

export const permissions = pgTable(
  "permissions",
  { ...columnsLike(sqlite.permissions), session: text().notNull() },
  (table) => [index("permissions_session").on(table.session)],
);

export const sessionFigures = pgTable("session_figures", {
  ...columnsLike(sqlite.sessionFigures),
  session: text()
    .primaryKey()
    .references(() => sessions.key, { onDelete: "cascade" }),
});

/** What each server has counted. Those of the fleet are the sums over all servers, also of those that have ended. */
export const usageSums = pgTable(
  "usage_sums",
  {
    ...columnsLike(sqlite.usageSums),
    /** New with each start of a server. */
    server: uuid().notNull(),
    startsAt: bigint("starts_at", { mode: "number" }).notNull(),
    span: text().notNull(),
    conversation: text().notNull(),
    agent: text().notNull(),
    model: text().notNull(),
  },
  ({ startsAt, span, conversation, agent, model, server }) => [
    primaryKey({ columns: [startsAt, span, conversation, agent, model, server] }),
  ],
);

/** The transcripts of Claude sessions, and what belongs to them, in pieces that follow each other. */
export const files = pgTable(
  "files",
  {
    claudeSession: text("claude_session").notNull(),
    /** `transcript/…` below Claude Code's projects folder, or `attachment/…` below that of the session. */
    path: text().notNull(),
    seq: integer().notNull(),
    epoch: bigint({ mode: "number" }).notNull(),
    /** Compressed with zstd. */
    bytes: bytes().notNull(),
  },
  (table) => [primaryKey({ columns: [table.claudeSession, table.path, table.seq] })],
);

/** Calls of a client's tools that wait for a result, in a conversation that the request with the result may not name. */
export const parked = pgTable("parked", {
  id: text().primaryKey(),
  node: uuid()
    .notNull()
    .references(() => nodes.id, { onDelete: "cascade" }),
});
