/** Opens the database and brings its tables up to date. */
import { Database } from "bun:sqlite";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { drizzle } from "drizzle-orm/bun-sqlite";
import { migrate } from "drizzle-orm/bun-sqlite/migrator";
import * as schema from "./schema.ts";

export type Store = ReturnType<typeof openStore>;

/** Opens `file`, made with mode 0600 if it is not there. */
export function openStore(file: string) {
  // SQLite would make it readable by all; its journal files take the mode of this one.
  closeSync(openSync(file, "a", 0o600));
  const client = new Database(file, { strict: true });
  client.run("PRAGMA journal_mode = WAL");
  client.run("PRAGMA synchronous = NORMAL");
  client.run("PRAGMA busy_timeout = 250");
  client.run("PRAGMA foreign_keys = ON");
  const database = drizzle(client, { schema });
  migrate(database, { migrationsFolder: join(import.meta.dir, "migrations") });
  return { database, close: () => client.close() };
}
