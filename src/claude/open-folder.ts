/** Starts a process in exactly the folder that was checked, even if its path is changed in the meantime. */
import { closeSync, constants, openSync, readlinkSync, realpathSync } from "node:fs";
import { RequestError } from "../core/errors.ts";

/** Linux's O_PATH, which is missing in Node's constants. It also opens a folder that may be entered but not read. */
const O_PATH = 0o10000000;

/**
 * Keeps a folder open while `use` runs.
 * @param path a real path, as it was when the folder was allowed
 * @param use gets a path that leads to the open folder
 * @throws RequestError (`workspace_not_allowed`) when the path, or a folder above it, has become a link since
 */
export function withOpenFolder<T>(path: string, use: (cwd: string) => T): T {
  if (process.platform !== "linux") {
    // Other systems have no path to an open folder. A change between this check and the start goes unnoticed.
    if (currentPath(path) !== path) throw swapped(path);
    return use(path);
  }
  let descriptor: number;
  try {
    descriptor = openSync(path, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    // ELOOP and ENOTDIR mean a link or a file. For other errors, the start of the process reports the cause.
    if (/^(ELOOP|ENOTDIR)$/.test((error as NodeJS.ErrnoException).code ?? "")) throw swapped(path);
    return use(path);
  }
  try {
    const open = `/proc/self/fd/${descriptor}`;
    if (readlinkSync(open) !== path) throw swapped(path);
    return use(open);
  } finally {
    closeSync(descriptor);
  }
}

function currentPath(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    // The folder does not exist, or may not be entered.
    return null;
  }
}

const swapped = (path: string) =>
  new RequestError(
    "workspace_not_allowed",
    `The workspace ${path} has changed since it was checked: it, or a folder above it, is a link or a file now. ` +
      "Send the message again to have it checked again.",
    { param: "x-openclaw-workspace" },
  );
