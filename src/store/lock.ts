/**
 * One server per state folder. The lock is SQLite's own on a small file: the system gives it back when
 * its holder dies, however that happens. Who holds it stands in a file beside it.
 */
import { Database, SQLiteError } from "bun:sqlite";
import { closeSync, existsSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { openRegularFile, readSmallFile } from "../core/regular-file.ts";

const holder = z.object({ pid: z.number(), port: z.number().optional() });
export type Holder = z.infer<typeof holder>;

export interface Lock {
  /** Tells others where this server listens. */
  announce(port: number): void;
  /** A second time it does nothing. */
  release(): void;
}

/**
 * Takes the lock. Gives its holder instead when another process has it; null when that one is not known.
 * @param silently others are not told who holds it
 */
export function takeLock(file: string, silently = false): { lock: Lock } | { heldBy: Holder | null } {
  // SQLite would follow a link, and wait at a FIFO.
  closeSync(openRegularFile(file, { mode: "a" }));
  const database = new Database(file);
  try {
    database.run("PRAGMA locking_mode = EXCLUSIVE");
    database.run("BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (!(error instanceof SQLiteError)) throw error;
    if (error.code === "SQLITE_BUSY") return { heldBy: readHolder(file) };
    if (error.code !== "SQLITE_NOTADB" && error.code !== "SQLITE_CORRUPT") throw error;
    // Nothing is ever written into it; and nobody holds it, or it would be busy.
    truncateSync(file);
    return takeLock(file, silently);
  }
  const tell = (value: Holder) => {
    // Written over, a link would be followed.
    rmSync(`${file}.json`, { force: true });
    writeFileSync(`${file}.json`, JSON.stringify(value), { mode: 0o600, flag: "wx" });
  };
  if (!silently) tell({ pid: process.pid });
  let released = false;
  return {
    lock: {
      announce: (port) => tell({ pid: process.pid, port }),
      release: () => {
        // Not twice: the file may be the next holder's by then.
        if (released) return;
        released = true;
        rmSync(`${file}.json`, { force: true });
        database.close();
      },
    },
  };
}

/** Who holds the lock now; null when nobody does who has said so. Changes nothing. */
export function holderOf(file: string): Holder | null {
  if (!existsSync(file) || !statSync(file).isFile()) return null;
  try {
    using database = new Database(file, { readonly: true });
    database.query("SELECT 1 FROM sqlite_master").all();
    return null;
  } catch (error) {
    if (!(error instanceof SQLiteError) || error.code !== "SQLITE_BUSY") return null;
  }
  const holder = readHolder(file);
  // The guard of a server that was killed holds it in silence, while it clears up.
  return holder && isRunning(holder.pid) ? holder : null;
}

/** Who has last taken the lock and not released it. It may have died since. */
function readHolder(file: string): Holder | null {
  if (!existsSync(`${file}.json`)) return null;
  try {
    return holder.parse(JSON.parse(readSmallFile(`${file}.json`)));
  } catch {
    // Half written by a holder that has just begun.
    return null;
  }
}

/** Whether a process of this id runs. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it runs, as another user.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
