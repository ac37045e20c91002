/** Finds out why a file or folder cannot be used, and what a person can do about it. */
import { accessSync, constants, lstatSync, readlinkSync, type Stats, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * How a path is used. `folder` and `file` are read and written, and created when they do not exist. `readable` is a file
 * that is only read, and that need not exist.
 */
export type PathUse = "folder" | "file" | "readable";

/** A problem and what to do about it, both as whole sentences. */
export interface PathProblem {
  readonly what: string;
  readonly advice: string;
}

const { R_OK, W_OK, X_OK } = constants;
const NEEDED_ACCESS: Record<PathUse, number> = { folder: R_OK | W_OK | X_OK, file: R_OK | W_OK, readable: R_OK };

/** Checks whether `path` can be used, without changing anything. @returns null when no problem can be found */
export function checkPath(path: string, use: PathUse): PathProblem | null {
  let stats: Stats;
  try {
    stats = statSync(path);
  } catch (error) {
    return checkMissing(path, use, (error as NodeJS.ErrnoException).code);
  }
  if (use === "folder" && !stats.isDirectory()) {
    return { what: `${path} is a file, but synthesis needs a folder there.`, advice: "Move the file away." };
  }
  if (use !== "folder" && stats.isDirectory()) {
    return { what: `${path} is a folder, but synthesis needs a file there.`, advice: "Move the folder away." };
  }
  // Opening a FIFO would block until another process opens its other end.
  if (use !== "folder" && !stats.isFile()) {
    return { what: `${path} is not a regular file.`, advice: "Move it away." };
  }
  return hasAccess(path, NEEDED_ACCESS[use]) ? null : noAccess(path, stats, NEEDED_ACCESS[use]);
}

/** Checks a path that `stat` could not find: it does not exist, or there is a problem with a folder above it. */
function checkMissing(path: string, use: PathUse, code: string | undefined): PathProblem | null {
  if (code === "ENAMETOOLONG") return { what: `The path ${path} is too long.`, advice: "Choose a shorter one." };
  const target = code === "ENOENT" || code === "ELOOP" ? linkTarget(path) : null;
  if (target !== null) {
    return { what: `${path} is a broken link to ${target}.`, advice: "Remove the link, or create what it points to." };
  }
  // A file that is only read need not exist. With another code it may exist behind a folder that cannot be read.
  if (use === "readable" && code === "ENOENT") return null;
  const folder = nearestExisting(path);
  const problem = checkPath(folder, "folder") ?? (code === "ENOENT" ? checkKernelFolder(folder) : null);
  return problem && code === "ENOENT" ? { ...problem, what: `${path} cannot be created: ${problem.what}` } : problem;
}

/** The nearest ancestor that exists. It need not be a folder. */
function nearestExisting(path: string): string {
  const parent = dirname(path);
  try {
    lstatSync(parent);
    return parent;
  } catch {
    // The parent does not exist either, or cannot be reached.
    return nearestExisting(parent);
  }
}

/** The types, as statfs(2) reports them, of Linux's procfs and sysfs. */
const KERNEL_FILE_SYSTEMS = [0x9fa0, 0x62656572];

/** Nothing can be created in such a folder, even by root, although access(2) says that root may. */
function checkKernelFolder(folder: string): PathProblem | null {
  if (process.platform !== "linux" || !KERNEL_FILE_SYSTEMS.includes(statfsSync(folder).type)) return null;
  return { what: `${folder} belongs to the kernel.`, advice: "Choose another path." };
}

function linkTarget(path: string): string | null {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : null;
  } catch {
    // The path does not exist, or is behind a link that points to itself.
    return null;
  }
}

function hasAccess(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    // access(2) answers with an error when the permission is missing.
    return false;
  }
}

function noAccess(path: string, { uid, mode }: Stats, needed: number): PathProblem {
  const verbs = needed & W_OK ? (hasAccess(path, R_OK) ? "write to" : "read and write") : "read";
  const isOwn = uid === process.getuid?.();
  const missing = `u+r${needed & W_OK ? "w" : ""}${needed & X_OK ? "x" : ""}`;
  return {
    what: `You may not ${verbs} ${path} (${isOwn ? "you own it" : `user ${uid} owns it`}, mode ${formatMode(mode)}).`,
    advice: isOwn
      ? `Run \`chmod ${missing} ${path}\`. If that does not help, the disk is mounted read-only.`
      : "Choose another path, move this one away, or have its owner changed with chown.",
  };
}

/** The permission bits as chmod(1) takes them, such as `0644`. */
export const formatMode = (mode: number): string => (mode & 0o777).toString(8).padStart(4, "0");

/**
 * Explains a system error that names a file or folder.
 * @returns null for any other error
 */
export function describePathProblem(error: unknown): PathProblem | null {
  if (!(error instanceof Error)) return null;
  const { code, path, syscall } = error as NodeJS.ErrnoException;
  if (code === undefined || path === undefined || syscall === undefined) return null;
  const isFolder = syscall === "mkdir" || syscall === "scandir";
  return (
    checkPath(path, isFolder ? "folder" : syscall === "open" ? "file" : "readable") ?? {
      what: `${path} cannot be used (${error.message}).`,
      advice: "Check its disk, and the owner and mode of the folders above it.",
    }
  );
}
