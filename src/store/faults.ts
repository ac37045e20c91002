/** What keeps the state folder from doing its work, in words for people: what it is, and what to do. */
import { SQLiteError } from "bun:sqlite";
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { RequestError } from "../core/errors.ts";

export interface StoreFault {
  /** Only a damaged file is of no more use; of the others nothing is lost. */
  readonly is: "damaged" | "full" | "locked" | "unusable";
  readonly what: string;
  readonly advice: string;
  /** Seconds after which it may be over by itself, if it may. */
  readonly retryAfter?: number;
}

type SystemError = Error & { readonly code?: string; readonly path?: string };
type Kind = Omit<StoreFault, "what"> & { readonly codes: RegExp; readonly what: (error: SystemError) => string };

const KINDS: readonly Kind[] = [
  {
    is: "damaged",
    codes: /^SQLITE_(CORRUPT|NOTADB)/,
    what: () => "The database is damaged.",
    advice: "Restart synthesis: it sets the file aside and begins a fresh one. If that does not help, move it away.",
  },
  {
    is: "full",
    // A file of SQLite's that cannot be grown is told as an error of the disk.
    codes: /^(SQLITE_FULL|SQLITE_IOERR_SHMSIZE|ENOSPC|EDQUOT)/,
    what: () => "The disk is full, and nothing is done that cannot be written down.",
    advice: "Make room, and try again.",
    retryAfter: 30,
  },
  {
    is: "locked",
    codes: /^SQLITE_(BUSY|LOCKED|PROTOCOL)/,
    what: () => "Another program keeps the database locked.",
    advice: "Close that one, or try again when it is done.",
    retryAfter: 1,
  },
  {
    is: "unusable",
    codes: /^(ENOTDIR|EISDIR|EEXIST)$/,
    what: ({ code, path, message }) => {
      if (path === undefined) return `Something is in the way of a file that synthesis needs (${message}).`;
      if (code === "EISDIR") return `${path} is a folder, where synthesis needs a file.`;
      return `${code === "EEXIST" ? path : nearest(path)} is no folder, where synthesis needs one.`;
    },
    advice: "Move it away, and try again.",
  },
  {
    is: "unusable",
    codes: /^(ELOOP|EINVAL)$/,
    what: ({ path, message }) => `${path ?? message} is a link or no regular file, where synthesis needs a file.`,
    advice: "Move it away, and try again.",
  },
  {
    is: "unusable",
    codes: /^(EMFILE|ENFILE)$/,
    what: () => "Too many files are open.",
    advice: "Try again later; if it stays so, raise the limit (`ulimit -n`) and restart synthesis.",
    retryAfter: 30,
  },
  {
    is: "unusable",
    codes: /^ENAMETOOLONG$/,
    what: ({ path, message }) => `The name of a file that synthesis needs is too long (${path ?? message}).`,
    advice: "Give synthesis a state folder with a shorter path, with --home or SYNTHESIS_HOME.",
  },
  {
    is: "unusable",
    codes: /^(SQLITE_(READONLY|CANTOPEN|PERM|IOERR)|EACCES|EROFS|EIO)/,
    what: ({ message }) => `A file that synthesis needs cannot be read or written (${message}).`,
    advice: "Look at the disk, and at the owner and mode of the state folder; then try again.",
  },
];

/** Of a path through what is no folder, the part that is there: that is in the way. */
const nearest = (path: string): string => (existsSync(path) ? path : nearest(dirname(path)));

/** What an error of the database's, or of a file's, means; null for one that only we can have made, and for any other. */
export function storeFault(error: unknown): StoreFault | null {
  if (!(error instanceof Error)) return null;
  // Drizzle wraps some.
  if (error.cause instanceof SQLiteError) return storeFault(error.cause);
  const { code = "" } = error as SystemError;
  const kind = KINDS.find(({ codes }) => codes.test(code));
  return kind ? { ...kind, what: kind.what(error) } : null;
}

/** The same for a client. */
export function storeError(error: unknown): RequestError | null {
  const fault = storeFault(error);
  return (
    fault && new RequestError("database_unavailable", `${fault.what} ${fault.advice}`, { retryAfter: fault.retryAfter })
  );
}
