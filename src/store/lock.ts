/**
 * One server per state folder. The lock is SQLite's exclusive lock on a small file, which the system releases whenever
 * its holder exits, even by SIGKILL. The holder's process id and port are in a JSON file beside it.
 */
import { Database, SQLiteError } from "bun:sqlite";
import { closeSync, existsSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { isRunning } from "../core/is-running.ts";
import { openRegularFile, readSmallFile } from "../core/regular-file.ts";

const holder = z.object({ pid: z.number(), port: z.number().optional() });
export type Holder = z.infer<typeof holder>;

export interface Lock {
  /** Adds the server's port to the holder file, so that other commands find the server. */
  announce(port: number): void;
  /** Releases the lock. A second call does nothing. */
  release(): void;
}

/**
 * Acquires the lock, or returns its holder if another process has it. The holder is null if it is unknown.
 * @param silently writes no holder file, so that other commands do not take this process for a server
 */
export function acquireLock(file: string, silently = false): { lock: Lock } | { heldBy: Holder | null } {
  // Opened first, because SQLite would follow a symbolic link and block on a FIFO.
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
    // Another program wrote into the file. It holds no data and no process has it locked, so it can be emptied.
    truncateSync(file);
    return acquireLock(file, silently);
  }
  const writeHolder = (value: Holder) => {
    // Created anew, because writing to an existing file would follow a symbolic link.
    rmSync(`${file}.json`, { force: true });
    writeFileSync(`${file}.json`, JSON.stringify(value), { mode: 0o600, flag: "wx" });
  };
  if (!silently) writeHolder({ pid: process.pid });
  let isReleased = false;
  return {
    lock: {
      announce: (port) => writeHolder({ pid: process.pid, port }),
      release: () => {
        // After the first release the holder file may belong to the next holder.
        if (isReleased) return;
        isReleased = true;
        rmSync(`${file}.json`, { force: true });
        database.close();
      },
    },
  };
}

/** The server that holds the lock; null if there is none. Changes nothing. */
export function lockHolder(file: string): Holder | null {
  if (!existsSync(file) || !statSync(file).isFile()) return null;
  try {
    using database = new Database(file, { readonly: true });
    database.query("SELECT 1 FROM sqlite_master").all();
    return null;
  } catch (error) {
    if (!(error instanceof SQLiteError) || error.code !== "SQLITE_BUSY") return null;
  }
  const holder = readHolder(file);
  // The watchdog of a killed server holds the lock silently while it cleans up. The holder file is then out of date.
  return holder && isRunning(holder.pid) ? holder : null;
}

/** Reads the holder file. It may be left over from a process that was killed. */
function readHolder(file: string): Holder | null {
  if (!existsSync(`${file}.json`)) return null;
  try {
    return holder.parse(JSON.parse(readSmallFile(`${file}.json`)));
  } catch {
    // The holder is just writing the file.
    return null;
  }
}
