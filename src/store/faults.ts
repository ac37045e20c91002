/** Faults of the database and of other files in the state folder: what happened and what to do, for people. */
import { SQLiteError } from "bun:sqlite";
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { RequestError } from "../core/errors.ts";

export interface StoreFault {
  /** Only a damaged file must be replaced. Any other fault leaves all data intact. */
  readonly kind: "damaged" | "full" | "locked" | "unusable";
  /** What happened, as one sentence. */
  readonly what: string;
  /** What to do, as one sentence. */
  readonly advice: string;
  /** Seconds after which the fault may have ended; absent if only a person can fix it. */
  readonly retryAfter?: number;
}

type SystemError = Error & { readonly code?: string; readonly path?: string };
type Kind = Omit<StoreFault, "what"> & { readonly codes: RegExp; readonly what: (error: SystemError) => string };

const KINDS: readonly Kind[] = [
  {
    kind: "damaged",
    codes: /^SQLITE_(CORRUPT|NOTADB)/,
    what: () => "The database is damaged.",
    advice: "Restart synthesis: it moves the file away and creates a new one. If that does not help, move it yourself.",
  },
  {
    kind: "full",
    // SQLite reports an I/O error when a full disk keeps its shared memory file from growing.
    codes: /^(SQLITE_FULL|SQLITE_IOERR_SHMSIZE|ENOSPC|EDQUOT)/,
    what: () => "The disk is full, and synthesis does nothing that it cannot record.",
    advice: "Make room on the disk and try again.",
    retryAfter: 30,
  },
  {
    kind: "locked",
    codes: /^SQLITE_(BUSY|LOCKED|PROTOCOL)/,
    what: () => "Another program has locked the database.",
    advice: "Close that program, or try again later.",
    retryAfter: 1,
  },
  {
    kind: "unusable",
    codes: /^(ENOTDIR|EISDIR|EEXIST)$/,
    what: ({ code, path, message }) => {
      if (path === undefined) return `Another file has the name of a file or folder that synthesis needs (${message}).`;
      if (code === "EISDIR") return `${path} is a folder, but synthesis needs a file there.`;
      return `${code === "EEXIST" ? path : nearestExisting(path)} is not a folder, but synthesis needs one there.`;
    },
    advice: "Move it away and try again.",
  },
  {
    kind: "unusable",
    codes: /^(ELOOP|EINVAL)$/,
    what: ({ path, message }) =>
      `${path ?? message} is a symbolic link or not a regular file, but synthesis needs a file there.`,
    advice: "Move it away and try again.",
  },
  {
    kind: "unusable",
    codes: /^(EMFILE|ENFILE)$/,
    what: () => "This process has too many open files.",
    advice: "Try again later. If that does not help, raise the limit (`ulimit -n`) and restart synthesis.",
    retryAfter: 30,
  },
  {
    kind: "unusable",
    codes: /^ENAMETOOLONG$/,
    what: ({ path, message }) => `The path of a file that synthesis needs is too long (${path ?? message}).`,
    advice: "Choose a state folder with a shorter path with --home or SYNTHESIS_HOME.",
  },
  {
    kind: "unusable",
    codes: /^(SQLITE_(READONLY|CANTOPEN|PERM|IOERR)|EACCES|EROFS|EIO)/,
    what: ({ message }) => `synthesis cannot read or write one of its files (${message}).`,
    advice: "Check the disk, and the owner and mode of the state folder. Then try again.",
  },
];

/** The longest part of a path that exists. If a path is invalid because that part is not a folder, this names it. */
const nearestExisting = (path: string): string => (existsSync(path) ? path : nearestExisting(dirname(path)));

/** The fault behind an error of SQLite or of the file system; null for any other error, which then is a bug. */
export function storeFault(error: unknown): StoreFault | null {
  if (!(error instanceof Error)) return null;
  // Drizzle wraps the errors of some queries.
  if (error.cause instanceof SQLiteError) return storeFault(error.cause);
  const { code = "" } = error as SystemError;
  const kind = KINDS.find(({ codes }) => codes.test(code));
  return kind ? { ...kind, what: kind.what(error) } : null;
}

/** The fault behind an error, as the error of a request; null if there is none. */
export function storeError(error: unknown): RequestError | null {
  const fault = storeFault(error);
  return (
    fault && new RequestError("database_unavailable", `${fault.what} ${fault.advice}`, { retryAfter: fault.retryAfter })
  );
}
