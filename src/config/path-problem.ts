/** What keeps a file or folder from being used, in words for people: what it is, and what to do. */
import { accessSync, constants, lstatSync, readlinkSync, type Stats, statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";

/** `folder` and `file`: to read and write, made if it is not there. `readable`: a file to read, if there is one. */
export type PathUse = "folder" | "file" | "readable";

export interface PathProblem {
  readonly what: string;
  readonly advice: string;
}

const { R_OK, W_OK, X_OK } = constants;
const NEEDS: Record<PathUse, number> = { folder: R_OK | W_OK | X_OK, file: R_OK | W_OK, readable: R_OK };

/** What is in the way of `path` for this use, found without changing anything; null for nothing that can be seen. */
export function checkPath(path: string, use: PathUse): PathProblem | null {
  let found: Stats;
  try {
    found = statSync(path);
  } catch (error) {
    return behind(path, use, (error as NodeJS.ErrnoException).code);
  }
  if (use === "folder" && !found.isDirectory()) {
    return { what: `${path} is a file, where synthesis needs a folder.`, advice: "Move it away." };
  }
  if (use !== "folder" && found.isDirectory()) {
    return { what: `${path} is a folder, where synthesis needs a file.`, advice: "Move it away." };
  }
  // To open a FIFO would wait for whoever is at its other end.
  if (use !== "folder" && !found.isFile()) {
    return { what: `${path} is no regular file, which synthesis needs there.`, advice: "Move it away." };
  }
  return mayUse(path, NEEDS[use]) ? null : forbidden(path, found, NEEDS[use]);
}

/** What is in the way when `path` itself cannot be looked at: it is not there, or something before it is wrong. */
function behind(path: string, use: PathUse, code: string | undefined): PathProblem | null {
  if (code === "ENAMETOOLONG") return { what: `${path} is too long a name.`, advice: "Choose a shorter one." };
  const target = code === "ENOENT" || code === "ELOOP" ? linkTarget(path) : null;
  if (target !== null) {
    return {
      what: `${path} is a link that leads nowhere (${target}).`,
      advice: "Remove the link, or make what it leads to.",
    };
  }
  // What need not be there need not be made; but what cannot be reached may be there.
  if (use === "readable" && code === "ENOENT") return null;
  const folder = above(path);
  const before = checkPath(folder, "folder") ?? (code === "ENOENT" ? kernelOwn(folder) : null);
  return before && code === "ENOENT" ? { ...before, what: `${path} cannot be made: ${before.what}` } : before;
}

/** The nearest above that is there, whatever it is. */
function above(path: string): string {
  const parent = dirname(path);
  try {
    lstatSync(parent);
    return parent;
  } catch {
    // Not there either, or behind what is wrong.
    return above(parent);
  }
}

/** Linux's file systems in which nothing can be made, by the type that statfs(2) tells: /proc and /sys. */
const KERNEL_OWN = [0x9fa0, 0x62656572];

/** Not even root can make anything there, though access says that it may. */
function kernelOwn(folder: string): PathProblem | null {
  if (process.platform !== "linux" || !KERNEL_OWN.includes(statfsSync(folder).type)) return null;
  return { what: `${folder} is the kernel's own.`, advice: "Choose another place." };
}

function linkTarget(path: string): string | null {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : null;
  } catch {
    // Not there, or behind a link that leads back to itself.
    return null;
  }
}

function mayUse(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    // The only thing that access can say is no.
    return false;
  }
}

function forbidden(path: string, { uid, mode }: Stats, needed: number): PathProblem {
  const verbs = needed & W_OK ? (mayUse(path, R_OK) ? "written to" : "read and written") : "read";
  const modeText = (mode & 0o777).toString(8).padStart(4, "0");
  // Windows has none, and no such program runs there.
  const own = uid === process.getuid?.();
  const wanted = `u+r${needed & W_OK ? "w" : ""}${needed & X_OK ? "x" : ""}`;
  return {
    what: `${path} cannot be ${verbs} by you (${own ? "yours" : `of user ${uid}`}, mode ${modeText}).`,
    advice: own
      ? `chmod ${wanted} ${path}; if that does not help, the disk is mounted read-only.`
      : "It is another user's: choose another place, move it away, or have it given to you (chown).",
  };
}

/**
 * What an error of the system's means that names a file or folder.
 * @returns null for any other error
 */
export function describePathProblem(error: unknown): PathProblem | null {
  if (!(error instanceof Error)) return null;
  const { code, path, syscall } = error as NodeJS.ErrnoException;
  if (code === undefined || path === undefined || syscall === undefined) return null;
  const folder = syscall === "mkdir" || syscall === "scandir";
  return (
    checkPath(path, folder ? "folder" : syscall === "open" ? "file" : "readable") ?? {
      what: `${path} cannot be used (${error.message}).`,
      advice: "Look at its disk, and at the owner and mode of the folders above it.",
    }
  );
}
