/**
 * Opens files that Claude or its commands may have replaced: with a FIFO, which blocks the process that opens it, with a
 * device, with a symbolic link, or with a file that does not fit in memory.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

/** A session file of Claude Code is about 400 bytes long. */
const MAX_SMALL_BYTES = 1024 * 1024;
/** A settings file has a few kilobytes, but Claude Code's file about all projects can have several megabytes. */
const MAX_SETTINGS_BYTES = 16 * 1024 * 1024;

export interface OpenOptions {
  /** `r+` also allows truncation; `a` creates the file with mode 0600 if it is absent. */
  readonly mode?: "r" | "r+" | "a";
  /** Follows a symbolic link at the end of the path. People use such links for their settings. */
  readonly followsLink?: boolean;
  /** 1 MB if absent. Only for `readSmallFile`. */
  readonly maxBytes?: number;
}

/**
 * Opens a regular file without blocking.
 * @returns a descriptor, which the caller closes
 * @throws an error with a `code`: ENOENT if it is absent, ELOOP for a symbolic link, EINVAL if it is not a regular file
 */
export const openRegularFile = (path: string, options?: OpenOptions): number => openWithSize(path, options).file;

function openWithSize(
  path: string,
  { mode = "r", followsLink = false }: OpenOptions = {},
): { readonly file: number; readonly size: number } {
  const { O_RDONLY, O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  // Without O_NONBLOCK, opening a FIFO would block the whole server until the FIFO has a writer.
  const access = mode === "r" ? O_RDONLY : mode === "r+" ? O_RDWR : O_RDWR | O_CREAT;
  const file = openSync(path, access | O_NONBLOCK | (followsLink ? 0 : O_NOFOLLOW), 0o600);
  const stats = fstatSync(file);
  if (stats.isFile()) return { file, size: stats.size };
  closeSync(file);
  throw Object.assign(new Error(`${path} is not a regular file.`), { code: "EINVAL", path });
}

/**
 * Reads a small file.
 * @throws as `openRegularFile` does, and with the code EFBIG if the file is larger than `maxBytes`
 */
export function readSmallFile(path: string, options: OpenOptions = {}): string {
  const { maxBytes = MAX_SMALL_BYTES } = options;
  const { file, size } = openWithSize(path, options);
  try {
    const bytes = Buffer.allocUnsafe(Math.min(size, maxBytes + 1));
    const length = readSync(file, bytes, 0, bytes.length, 0);
    if (length <= maxBytes) return bytes.toString("utf8", 0, length);
    throw Object.assign(new Error(`${path} is larger than ${maxBytes} bytes.`), { code: "EFBIG" });
  } finally {
    closeSync(file);
  }
}

/** Reads a small file of the user, also through a symbolic link. Returns null if it is absent or cannot be read. */
export function tryReadSmallFile(path: string): string | null {
  try {
    return readSmallFile(path, { followsLink: true, maxBytes: MAX_SETTINGS_BYTES });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return null;
  }
}
