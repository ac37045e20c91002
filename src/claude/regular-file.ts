/**
 * Opens files that Claude, or what it runs, may have replaced: by a FIFO, which blocks whoever opens it; by a device;
 * by a link to somewhere else; by a file that is larger than the memory.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

/** A session file has 400 bytes, settings a few thousand; what Claude Code notes of all projects may take megabytes. */
const MAX_SMALL_BYTES = 16 * 1024 * 1024;

export interface OpenOptions {
  /** `r+` also allows to cut it. */
  readonly mode?: "r" | "r+";
  /** The last part of the path may be a link, as people set them up for their settings. */
  readonly followsLink?: boolean;
}

/**
 * Opens a regular file; never waits.
 * @returns a descriptor, which the caller closes
 * @throws an error with a `code`: ENOENT when there is none, ELOOP for a link, EINVAL for what is no regular file
 */
export function openRegularFile(path: string, { mode = "r", followsLink = false }: OpenOptions = {}): number {
  const { O_RDONLY, O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants;
  // Without O_NONBLOCK opening a FIFO waits for a writer, and the whole server with it.
  const flags = (mode === "r" ? O_RDONLY : O_RDWR) | O_NONBLOCK | (followsLink ? 0 : O_NOFOLLOW);
  const file = openSync(path, flags);
  if (fstatSync(file).isFile()) return file;
  closeSync(file);
  throw Object.assign(new Error(`${path} is not a regular file.`), { code: "EINVAL" });
}

/**
 * The text of a small file.
 * @throws as `openRegularFile`, and with the code EFBIG for a file of more than 16 MB
 */
export function readSmallFile(path: string, options: OpenOptions = {}): string {
  const file = openRegularFile(path, options);
  try {
    const bytes = Buffer.allocUnsafe(Math.min(fstatSync(file).size, MAX_SMALL_BYTES + 1));
    const length = readSync(file, bytes, 0, bytes.length, 0);
    if (length <= MAX_SMALL_BYTES) return bytes.toString("utf8", 0, length);
    throw Object.assign(new Error(`${path} is larger than ${MAX_SMALL_BYTES} bytes.`), { code: "EFBIG" });
  } finally {
    closeSync(file);
  }
}

/** The text of a small file of the user's, or null when there is none that can be read. It may be behind a link. */
export function smallFileText(path: string): string | null {
  try {
    return readSmallFile(path, { followsLink: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return null;
  }
}
