/**
 * What Postgres has of a conversation: read when it is claimed, written in statements that also prove that the claim
 * still holds. A statement of an earlier owner changes nothing.
 */
import { eq, type SQL, sql } from "drizzle-orm";
import { DEADLINE_MS, type Postgres } from "../store/postgres/connect.ts";
import { files } from "../store/postgres/tables.ts";
import type { ChangeSet } from "./changes.ts";
import type { Claim } from "./claims.ts";
import type { FilePiece, PieceKey } from "./session-files.ts";
import { type StoredRow, TRACKED, type TrackedTable } from "./tracked-tables.ts";

/** As many of a conversation's turns are loaded. A delivery plan looks back as far in each branch. */
const MAX_TURNS = 2_000;
/** A transaction whose node sends no next statement for this long is rolled back, in ms. */
const IDLE_MS = 5_000;
/** How long each statement of a transaction after the first one may take, in ms. Much of it is the way of its bytes. */
const STATEMENT_MS = 2_000;
/** So many bytes of pieces are written with one statement. */
const STATEMENT_BYTES = 4 * 1024 * 1024;

export interface FileChanges {
  /** New pieces, in order. */
  readonly pieces: readonly FilePiece[];
  /** Files whose earlier pieces no longer count. */
  readonly rewritten: readonly PieceKey[];
}

/** The rows of a conversation and of its branches, by table. */
export async function loadRows(postgres: Postgres, key: string): Promise<Record<string, readonly StoredRow[]>> {
  const keys = sql`(SELECT key FROM sessions WHERE key = ${key} OR branch_of = ${key})`;
  const [row] = await postgres.run((database) =>
    database.execute<Record<string, StoredRow[] | null>>(sql`SELECT
      (SELECT json_agg(r) FROM sessions r WHERE key = ${key} OR branch_of = ${key}) AS sessions,
      (SELECT json_agg(r) FROM past_sessions r WHERE key IN ${keys}) AS past_sessions,
      (SELECT json_agg(r ORDER BY position) FROM
        (SELECT * FROM turns WHERE session IN ${keys} ORDER BY position DESC LIMIT ${MAX_TURNS}) r) AS turns,
      (SELECT json_agg(r ORDER BY asked_at) FROM permissions r WHERE session IN ${keys}) AS permissions,
      (SELECT json_agg(r) FROM session_figures r WHERE session IN ${keys}) AS session_figures`),
  );
  return Object.fromEntries(TRACKED.map(({ name }) => [name, row?.[name] ?? []]));
}

/** The pieces of all files of a Claude session, those of a file in order. */
export const loadPieces = (postgres: Postgres, claudeSession: string): Promise<FilePiece[]> =>
  postgres.run((database) =>
    database
      .select({ claudeSession: files.claudeSession, path: files.path, seq: files.seq, bytes: files.bytes })
      .from(files)
      .where(eq(files.claudeSession, claudeSession))
      .orderBy(files.path, files.seq),
  );

/**
 * Writes what has changed, if the claim still holds and is as this node knows it. A commit whose answer did not arrive in
 * time may still reach Postgres, and must not undo a later one.
 * @param removed Claude sessions that no longer exist, whose files are deleted
 * @returns the claim after the commit; null when nothing was written, because another node has, or may have, the
 *   conversation, or because an earlier commit has arrived after all
 * @throws RequestError (`database_unavailable`)
 */
export async function commit(
  postgres: Postgres,
  claim: Claim,
  changes: ChangeSet,
  files: FileChanges,
  removed: readonly string[],
): Promise<Claim | null> {
  const [first = [], ...rest] = batches(files.pieces);
  const statement = commitStatement(claim, changes, { ...files, pieces: first }, removed);
  const next = { ...claim, seq: claim.seq + 1 };
  if (rest.length === 0) {
    return postgres.run(async (database) => ((await database.execute(statement)).length > 0 ? next : null));
  }
  return postgres.run(
    (database) =>
      database.transaction(async (transaction) => {
        // A node that is lost in between would keep the claim locked, and so all claims of the node.
        await transaction.execute(sql.raw(`SET LOCAL idle_in_transaction_session_timeout = ${IDLE_MS}`));
        // It locks the claim, so that no other node can take it before the end.
        if ((await transaction.execute(statement)).length === 0) return null;
        for (const pieces of rest) await transaction.execute(sql`WITH ${locked(claim)} ${insertPieces(pieces)}`);
        return next;
      }),
    DEADLINE_MS + rest.length * STATEMENT_MS,
  );
}

/** The claim, locked until the end of the transaction. */
const held = ({ key, node, epoch, seq }: Claim): SQL =>
  sql`held AS (UPDATE claims SET seq = seq + 1
    WHERE key = ${key} AND node = ${node} AND epoch = ${epoch} AND seq = ${seq} RETURNING epoch)`;

/** The claim that an earlier statement of the transaction has locked. */
const locked = ({ key, epoch }: Claim): SQL =>
  sql`held AS (SELECT epoch FROM claims WHERE key = ${key} AND epoch = ${epoch})`;

function commitStatement(
  claim: Claim,
  { rows, deleted }: ChangeSet,
  { pieces, rewritten }: FileChanges,
  removed: readonly string[],
): SQL {
  const parts = [
    held(claim),
    ...[...deleted].map(([table, ids]) => sql`${sql.raw(`deleted_${table.name}`)} AS (${deleteRows(table, ids)})`),
    ...[...rows].map(([table, changed]) => sql`${sql.raw(`changed_${table.name}`)} AS (${upsertRows(table, changed)})`),
    ...(removed.length > 0 ? [sql`removed AS (${deleteFiles(removed)})`] : []),
    ...(rewritten.length > 0 ? [sql`rewritten AS (${deletePieces(rewritten)})`] : []),
    ...(pieces.length > 0 ? [sql`pieces AS (${insertPieces(pieces)})`] : []),
  ];
  return sql`WITH ${sql.join(parts, sql`, `)} SELECT epoch FROM held`;
}

const json = (value: unknown): SQL => sql`${JSON.stringify(value)}::json`;

const deleteRows = ({ name, id }: TrackedTable, ids: readonly string[]): SQL =>
  sql`DELETE FROM ${sql.raw(name)} USING held WHERE ${sql.raw(id)} IN (SELECT json_array_elements_text(${json(ids)}))`;

function upsertRows({ name, id, columns }: TrackedTable, rows: readonly StoredRow[]): SQL {
  const names = [...columns.keys()];
  const withEpoch = name === "turns";
  const list = (prefix: string) => names.map((column) => `${prefix}"${column}"`).join(", ");
  const updates = names.filter((column) => column !== id).map((column) => `"${column}" = excluded."${column}"`);
  if (withEpoch) updates.push("epoch = excluded.epoch");
  return sql`${sql.raw(
    `INSERT INTO ${name} (${list("")}${withEpoch ? ", epoch" : ""}) SELECT ${list("r.")}${withEpoch ? ", held.epoch" : ""}
      FROM held, json_populate_recordset(null::${name}, `,
  )}${json(rows.map((row) => asInPostgres(columns, row)))}${sql.raw(
    `) r ON CONFLICT (${id}) DO UPDATE SET ${updates.join(", ")}`,
  )}`;
}

/** SQLite stores a boolean as 0 or 1, and text with NUL characters, which Postgres refuses. */
function asInPostgres(columns: TrackedTable["columns"], row: StoredRow): StoredRow {
  const convert = (name: string, value: StoredRow[string]) => {
    if (typeof value === "string") return value.replaceAll("\0", "\ufffd");
    return columns.get(name)?.column.columnType === "SQLiteBoolean" && value !== null ? Boolean(value) : value;
  };
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, convert(name, value ?? null)]));
}

const deleteFiles = (claudeSessions: readonly string[]): SQL =>
  sql`DELETE FROM files USING held WHERE claude_session IN (SELECT json_array_elements_text(${json(claudeSessions)}))`;

const deletePieces = (rewritten: readonly PieceKey[]): SQL =>
  sql`DELETE FROM files USING held, json_to_recordset(${json(rewritten)}) AS r("claudeSession" text, path text, seq int)
    WHERE files.claude_session = r."claudeSession" AND files.path = r.path AND files.seq < r.seq`;

const insertPieces = (pieces: readonly FilePiece[]): SQL =>
  sql`INSERT INTO files (claude_session, path, seq, epoch, bytes)
    SELECT r."claudeSession", r.path, r.seq, held.epoch, decode(r.bytes, 'base64') FROM held,
      json_to_recordset(${json(pieces.map(({ bytes, ...key }) => ({ ...key, bytes: bytes.toBase64() })))})
      AS r("claudeSession" text, path text, seq int, bytes text)
    ON CONFLICT (claude_session, path, seq) DO UPDATE SET epoch = excluded.epoch, bytes = excluded.bytes`;

/** Splits the pieces, so that a statement does not become too large. */
function batches(pieces: readonly FilePiece[]): FilePiece[][] {
  const all: FilePiece[][] = [];
  let size = Number.POSITIVE_INFINITY;
  for (const piece of pieces) {
    if (size + piece.bytes.length > STATEMENT_BYTES) {
      all.push([]);
      size = 0;
    }
    all.at(-1)?.push(piece);
    size += piece.bytes.length;
  }
  return all;
}
