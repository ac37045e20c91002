/** Starts a process in the very folder that was checked, whatever becomes of its path in the meantime. */
import { closeSync, constants, openSync, readlinkSync, realpathSync } from "node:fs";
import { RequestError } from "../../core/errors.ts";

/** Linux's O_PATH, which Node's constants lack: opens a folder that may be entered but not read, too. */
const O_PATH = 0o10000000;

/**
 * Opens a folder for as long as `use` takes.
 * @param path a real path, as it was when the folder was allowed
 * @param use gets a path that leads to the open folder
 * @throws ApiError (400) when the path, or a folder above it, has become a link since
 */
export function withOpenFolder<T>(path: string, use: (cwd: string) => T): T {
  if (process.platform !== "linux") {
    // Elsewhere no path leads to an open folder: what remains is the moment between this look and the start.
    if (currentPath(path) !== path) throw swapped(path);
    return use(path);
  }
  let descriptor: number;
  try {
    descriptor = openSync(path, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    // ELOOP and ENOTDIR: a link. Any other error the start itself describes.
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
    // It is gone, or closed to us.
    return null;
  }
}

const swapped = (path: string) =>
  new RequestError(
    "workspace_not_allowed",
    `The workspace ${path} has changed since it was checked: it, or a folder above it, is a link or a file now. ` +
      "Send the message again to have it checked anew.",
    { param: "x-openclaw-workspace" },
  );
