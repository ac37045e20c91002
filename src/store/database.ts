/** Opens the database and migrates its tables. A damaged file is moved away first, and a new one takes its place. */
import { Database, SQLiteError } from "bun:sqlite";
import { chmodSync, closeSync, existsSync, openSync, renameSync } from "node:fs";
import { type BunSQLiteDatabase, drizzle } from "drizzle-orm/bun-sqlite";
import { migrate } from "drizzle-orm/bun-sqlite/migrator";
import { ConfigError } from "../config/config-error.ts";
import { restrictToOwner } from "../config/state-folder.ts";
import { checkDatabase, MIGRATIONS, QUARANTINE_SUFFIX, SIDE_FILES } from "./database-check.ts";
import { storeFault } from "./faults.ts";
import { closeUnfinished } from "./recovery.ts";
import * as schema from "./schema.ts";

export interface Store {
  readonly database: BunSQLiteDatabase<typeof schema>;
  close(): void;
}

export interface OpenedStore {
  readonly store: Store;
  /** The new path of the damaged database that was moved away; null if the database was not damaged. */
  readonly quarantined: string | null;
}

/**
 * Opens `file`, or creates it with mode 0600. The caller must hold the lock on the state folder.
 * @throws ConfigError if a newer version has migrated the database, or it is not damaged and still cannot be used
 */
export function openStore(file: string): OpenedStore {
  const condition = checkDatabase(file);
  if (condition.kind === "newer") {
    throw new ConfigError(
      `A newer version of synthesis has changed ${file}, so this version does not open it. Start the newer version, or ` +
        "choose another state folder with --home or SYNTHESIS_HOME.",
    );
  }
  try {
    if (condition.kind === "damaged") return reopened(file);
    try {
      return { store: openFile(file), quarantined: null };
    } catch (error) {
      // The quick check of `checkDatabase` does not find all damage.
      if (storeFault(error)?.kind !== "damaged") throw error;
      return reopened(file);
    }
  } catch (error) {
    const fault = storeFault(error);
    if (fault) throw new ConfigError(`${file}: ${fault.what} ${fault.advice}`);
    if (!(error instanceof Error && error.cause instanceof SQLiteError)) throw error;
    throw new ConfigError(
      `${file} cannot be migrated to this version: ${error.cause.message}. Go back to the version of synthesis that ` +
        "used it last, or move the file away. Without it, all conversations start anew.",
    );
  }
}

/** Opens a database in memory, for a node of a fleet: what it has is in Postgres. */
export const openMemoryStore = (): Store => migrated(new Database(":memory:", { strict: true }));

function reopened(file: string): OpenedStore {
  const quarantined = quarantine(file);
  return { store: openFile(file), quarantined };
}

function openFile(file: string): Store {
  // SQLite would create the file readable for all users. Its side files get the mode of this file.
  closeSync(openSync(file, "a", 0o600));
  for (const suffix of ["", ...SIDE_FILES]) restrictToOwner(file + suffix);
  return migrated(new Database(file, { strict: true }));
}

function migrated(client: Database): Store {
  try {
    client.run("PRAGMA journal_mode = WAL");
    client.run("PRAGMA synchronous = NORMAL");
    client.run("PRAGMA busy_timeout = 250");
    client.run("PRAGMA foreign_keys = ON");
    const database = drizzle(client, { schema });
    migrate(database, { migrationsFolder: MIGRATIONS });
    closeUnfinished(database, Date.now());
    return { database, close: () => client.close() };
  } catch (error) {
    client.close();
    throw error;
  }
}

/** Renames a damaged database and its side files. @returns the new path of the database */
function quarantine(file: string): string {
  const quarantined = `${file}${QUARANTINE_SUFFIX}${new Date().toISOString().replace(/[:.]/g, "-")}`;
  // The database is renamed last. If this is interrupted, the next start finds it damaged again and moves the rest.
  for (const suffix of [...SIDE_FILES, ""]) {
    if (!existsSync(file + suffix)) continue;
    renameSync(file + suffix, quarantined + suffix);
    chmodSync(quarantined + suffix, 0o600);
  }
  return quarantined;
}
