/** Opens the database and brings its tables up to date. A damaged one is set aside first. */
import { Database, SQLiteError } from "bun:sqlite";
import { chmodSync, closeSync, existsSync, openSync, renameSync } from "node:fs";
import { drizzle } from "drizzle-orm/bun-sqlite";
import { migrate } from "drizzle-orm/bun-sqlite/migrator";
import { ConfigError } from "../config/config-error.ts";
import { restrictToOwner } from "../config/state-folder.ts";
import { checkDatabase, MIGRATIONS, QUARANTINED, SIDE_FILES } from "./database-check.ts";
import { storeFault } from "./faults.ts";
import * as schema from "./schema.ts";

export type Store = ReturnType<typeof openFile>;

export interface Opened<T> {
  readonly store: Store;
  readonly begun: T;
  /** Where a damaged database lies now, in whose place this one is; null when there was none. */
  readonly setAside: string | null;
}

/**
 * Opens `file`, made with mode 0600 if it is not there. Only for the holder of the state folder's lock.
 * @param begin what is done with it first: damage that this meets counts, too
 * @throws ConfigError when a newer version has changed it, or it cannot be used though it is not damaged
 */
export function openStore<T>(file: string, begin: (store: Store) => T): Opened<T> {
  const condition = checkDatabase(file);
  if (condition.is === "newer") {
    throw new ConfigError(
      `A newer version of synthesis has changed ${file}; this one does not touch it. Start that version, or give this ` +
        "one a folder of its own with --home or SYNTHESIS_HOME.",
    );
  }
  const open = (setAside: string | null): Opened<T> => {
    const store = openFile(file);
    try {
      return { store, begun: begin(store), setAside };
    } catch (error) {
      store.close();
      throw error;
    }
  };
  try {
    if (condition.is === "damaged") return open(putAside(file));
    try {
      return open(null);
    } catch (error) {
      // The quick check does not see everything.
      if (storeFault(error)?.is !== "damaged") throw error;
      return open(putAside(file));
    }
  } catch (error) {
    const fault = storeFault(error);
    if (fault) throw new ConfigError(`${file}: ${fault.what} ${fault.advice}`);
    if (!(error instanceof Error && error.cause instanceof SQLiteError)) throw error;
    throw new ConfigError(
      `${file} cannot be brought up to date: ${error.cause.message}. Go back to the version of synthesis that has used ` +
        "it, or move it away; conversations then begin anew.",
    );
  }
}

function openFile(file: string) {
  // SQLite would make it readable by all; its journal files take the mode of this one.
  closeSync(openSync(file, "a", 0o600));
  for (const suffix of ["", ...SIDE_FILES]) restrictToOwner(file + suffix);
  const client = new Database(file, { strict: true });
  try {
    client.run("PRAGMA journal_mode = WAL");
    client.run("PRAGMA synchronous = NORMAL");
    client.run("PRAGMA busy_timeout = 250");
    client.run("PRAGMA foreign_keys = ON");
    const database = drizzle(client, { schema });
    migrate(database, { migrationsFolder: MIGRATIONS });
    return { database, close: () => client.close() };
  } catch (error) {
    client.close();
    throw error;
  }
}

/** Gives a damaged database and what belongs to it another name. @returns the database's */
function putAside(file: string): string {
  const aside = `${file}${QUARANTINED}${new Date().toISOString().replace(/[:.]/g, "-")}`;
  // Itself last: without it nothing tells that the others belong to a damaged one.
  for (const suffix of [...SIDE_FILES, ""]) {
    if (!existsSync(file + suffix)) continue;
    renameSync(file + suffix, aside + suffix);
    chmodSync(aside + suffix, 0o600);
  }
  return aside;
}
