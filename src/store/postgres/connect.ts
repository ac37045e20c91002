/** The connection to Postgres. Bun's client has no deadline of its own: a backend that is stopped would hang a query. */
import { getLogger } from "@logtape/logtape";
import { SQL } from "bun";
import { DrizzleQueryError } from "drizzle-orm";
import { type BunSQLDatabase, drizzle } from "drizzle-orm/bun-sql";
import { RequestError } from "../../core/errors.ts";

const log = getLogger(["synthesis", "fleet"]);

export type PostgresDatabase = BunSQLDatabase<Record<string, never>>;

/** How long one query, or one transaction, may take, in ms. A local one takes less than one. */
export const DEADLINE_MS = 5_000;
const MAX_CONNECTIONS = 8;
const CONNECT_TIMEOUT_S = 5;

export interface Postgres {
  /**
   * Runs a query or a transaction.
   * @param deadlineMs after which it fails; it may have been committed all the same
   * @throws RequestError (`database_unavailable`) when Postgres cannot be reached, does not answer in time, or cannot do it
   * @throws RequestError (`internal_error`) when Postgres refuses it for what it contains, which it would do again
   */
  run<T>(query: (database: PostgresDatabase) => Promise<T>, deadlineMs?: number): Promise<T>;
  close(): Promise<void>;
}

/** @param url `postgres://user:password@host:port/database`, or with `?host=/folder` for a Unix socket */
export function connect(url: string): Postgres {
  const open = () => {
    const client = new SQL(connectionOptions(url));
    return { client, database: drizzle({ client }) as unknown as PostgresDatabase };
  };
  let current = open();

  return {
    run: async (query, deadlineMs = DEADLINE_MS) => {
      const used = current;
      const { promise: expired, reject } = Promise.withResolvers<never>();
      const timer = setTimeout(() => reject(new Error(`Postgres did not answer in ${deadlineMs} ms`)), deadlineMs);
      try {
        return await Promise.race([query(used.database), expired]);
      } catch (error) {
        if (error instanceof RequestError) throw error;
        const answer = postgresError(error);
        // A connection that did not answer would be used again. The other queries have time to end on theirs.
        if (used === current && answer?.code !== FROM_SERVER) {
          current = open();
          void used.client.close({ timeout: DEADLINE_MS / 1000 });
        }
        if (answer && CONTENT_REFUSED.test(answer.errno ?? "")) throw refused(answer);
        throw new RequestError(
          "database_unavailable",
          `The database of the fleet cannot be used now (${reasonOf(error)}). Try again later.`,
          { retryAfter: 1 },
        );
      } finally {
        clearTimeout(timer);
      }
    },
    close: () => current.client.close({ timeout: 1 }),
  };
}

function connectionOptions(url: string): SQL.Options {
  const parsed = new URL(url);
  const socketFolder = parsed.searchParams.get("host");
  const options = {
    // PgBouncer may give each transaction another connection.
    prepare: false,
    max: MAX_CONNECTIONS,
    connectionTimeout: CONNECT_TIMEOUT_S,
  };
  if (socketFolder === null) return { ...options, url };
  return {
    ...options,
    adapter: "postgres",
    path: `${socketFolder}/.s.PGSQL.${parsed.port || 5432}`,
    username: decodeURIComponent(parsed.username),
    password: decodeURIComponent(parsed.password),
    database: decodeURIComponent(parsed.pathname.slice(1)),
  };
}

/** The code of an error with which Postgres itself has answered; the others are of the connection. */
const FROM_SERVER = "ERR_POSTGRES_SERVER_ERROR";

/**
 * The states of SQL for bad data, broken constraints, statements that cannot run, and limits that are exceeded
 * (PostgreSQL, appendix A). A node that has just lost its lease breaks a foreign key, and that passes.
 */
const CONTENT_REFUSED = /^(?:22|23(?!503)|42|54)/;

/** The message of Postgres is left out, because it may quote a user's text. */
function refused({ errno, constraint }: SQL.PostgresError): RequestError {
  log.error("Postgres refuses a statement", { sqlState: errno, constraint });
  return new RequestError(
    "internal_error",
    `The database of the fleet refuses to record this (SQL state ${errno}). This is a fault of synthesis.`,
  );
}

/** What went wrong, without the query: Drizzle's message holds its values, which may be a user's text. */
const reasonOf = (error: unknown): string =>
  (error instanceof DrizzleQueryError ? error.cause?.message : (error as Error).message) ?? "unknown error";

function postgresError(error: unknown): SQL.PostgresError | null {
  if (error instanceof SQL.PostgresError) return error;
  return error instanceof Error && error.cause instanceof SQL.PostgresError ? error.cause : null;
}
