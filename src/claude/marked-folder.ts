/**
 * Folders that synthesis makes and later removes. Each is named by a uuid and contains a file with that uuid. Only
 * such folders are ever removed, so a wrong path or a planted link cannot delete anything else.
 */
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

const MARK_FILE = ".synthesis";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Makes a marked folder (mode 0700), or marks an existing one. @param folder a path whose last part is a uuid */
export function makeMarkedFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, MARK_FILE), basename(folder), { mode: 0o600 });
}

/** The marked folders in `parent`. Links are ignored, and so is a `parent` that is a link. */
export function markedFolders(parent: string): string[] {
  if (!isRealFolder(parent)) return [];
  return readdirSync(parent)
    .map((name) => join(parent, name))
    .filter(isMarked);
}

/** Removes a marked folder with everything in it. Links in it are removed, not followed. Any other folder stays. */
export function removeMarkedFolder(folder: string): void {
  if (isMarked(folder)) rmSync(folder, { recursive: true, force: true });
}

function isMarked(folder: string): boolean {
  const name = basename(folder);
  if (!UUID.test(name) || !isRealFolder(folder)) return false;
  const file = join(folder, MARK_FILE);
  const found = lstatSync(file, { throwIfNoEntry: false });
  return found?.isFile() === true && found.size === name.length && readFileSync(file, "utf8") === name;
}

const isRealFolder = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
