/**
 * Opens files that Claude, or what it runs, may have replaced: by a FIFO, which blocks whoever opens it; by a device;
 * by a link to somewhere else; by a file that is larger than the memory.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

/** A session file has 400 bytes. */
const MAX_SMALL_BYTES = 1024 * 1024;
/** Settings have a few thousand bytes; what Claude Code notes of all projects may take megabytes. */
const MAX_SETTINGS_BYTES = 16 * 1024 * 1024;

export interface OpenOptions {
  /** `r+` also allows to cut it; `a` makes it (0600) when it is not there. */
  readonly mode?: "r" | "r+" | "a";
  /** The last part of the path may be a link, as people set them up for their settings. */
  readonly followsLink?: boolean;
  /** In bytes; 1 MB if absent. Only for `readSmallFile`. */
  readonly maxBytes?: number;
}

/**
 * Opens a regular file; never waits.
 * @returns a descriptor, which the caller closes
 * @throws an error with a `code`: ENOENT when there is none, ELOOP for a link, EINVAL for what is no regular file
 */
export function openRegularFile(path: string, { mode = "r", followsLink = false }: OpenOptions = {}): number {
  const { O_RDONLY, O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  // Without O_NONBLOCK opening a FIFO waits for a writer, and the whole server with it.
  const access = mode === "r" ? O_RDONLY : mode === "r+" ? O_RDWR : O_RDWR | O_CREAT;
  const file = openSync(path, access | O_NONBLOCK | (followsLink ? 0 : O_NOFOLLOW), 0o600);
  if (fstatSync(file).isFile()) return file;
  closeSync(file);
  throw Object.assign(new Error(`${path} is not a regular file.`), { code: "EINVAL", path });
}

/**
 * The text of a small file.
 * @throws as `openRegularFile`, and with the code EFBIG for a file of more than `maxBytes`
 */
export function readSmallFile(path: string, options: OpenOptions = {}): string {
  const { maxBytes = MAX_SMALL_BYTES } = options;
  const file = openRegularFile(path, options);
  try {
    const bytes = Buffer.allocUnsafe(Math.min(fstatSync(file).size, maxBytes + 1));
    const length = readSync(file, bytes, 0, bytes.length, 0);
    if (length <= maxBytes) return bytes.toString("utf8", 0, length);
    throw Object.assign(new Error(`${path} is larger than ${maxBytes} bytes.`), { code: "EFBIG" });
  } finally {
    closeSync(file);
  }
}

/** The text of a small file of the user's, or null when there is none that can be read. It may be behind a link. */
export function smallFileText(path: string): string | null {
  try {
    return readSmallFile(path, { followsLink: true, maxBytes: MAX_SETTINGS_BYTES });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return null;
  }
}
