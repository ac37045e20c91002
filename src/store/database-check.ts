/** In what condition a database is, found without changing anything in it. */
import { Database } from "bun:sqlite";
import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { readMigrationFiles } from "drizzle-orm/migrator";
import { type StoreFault, storeFault } from "./faults.ts";

export const MIGRATIONS = join(import.meta.dir, "migrations");
/** SQLite's files beside the database. */
export const SIDE_FILES = ["-wal", "-shm"];
/** Between a damaged database's name and the time at which it was set aside. */
export const QUARANTINED = ".damaged-";

export type DatabaseCondition =
  | { readonly is: "absent" | "sound" }
  /** A newer version of this program has made changes to it that this one does not know. */
  | { readonly is: "newer" }
  | { readonly is: "damaged"; readonly why: string }
  | (StoreFault & { readonly is: "full" | "locked" | "unusable" });

/** Looks into `file`, quickly: a hundred thousand turns take some 30 ms. */
export function checkDatabase(file: string): DatabaseCondition {
  if (!existsSync(file)) return { is: "absent" };
  try {
    using database = new Database(file, { readonly: true, strict: true });
    const { quick_check } = database.query("PRAGMA quick_check(1)").get() as { quick_check: string };
    if (quick_check !== "ok") return { is: "damaged", why: quick_check };
    return isNewer(database) ? { is: "newer" } : { is: "sound" };
  } catch (error) {
    const fault = storeFault(error);
    if (!fault) throw error;
    return fault.is === "damaged" ? { is: "damaged", why: (error as Error).message } : { ...fault, is: fault.is };
  }
}

function isNewer(database: Database): boolean {
  if (!database.query("SELECT 1 FROM sqlite_master WHERE name = '__drizzle_migrations'").get()) return false;
  const made = database.query("SELECT created_at FROM __drizzle_migrations").all() as { created_at: number }[];
  const known = readMigrationFiles({ migrationsFolder: MIGRATIONS }).map(({ folderMillis }) => folderMillis);
  return made.some(({ created_at }) => !known.includes(Number(created_at)));
}

/** The damaged databases that lie beside `file`, oldest first. */
export function quarantineDatabase(file: string): readonly string[] {
  const prefix = `${basename(file)}${QUARANTINED}`;
  return readdirSync(dirname(file))
    .filter((name) => name.startsWith(prefix) && !SIDE_FILES.some((suffix) => name.endsWith(suffix)))
    .sort()
    .map((name) => join(dirname(file), name));
}
