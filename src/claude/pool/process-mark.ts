/**
 * The mark of everything that one Claude Code process starts: a variable in the environment, by which a later server
 * finds what outlived it. It is no secret and opens nothing. The same mark stands in a file in the process's folder.
 */
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

/** The variable that holds the mark. */
export const MARK_VARIABLE = "SYNTHESIS_PROCESS_MARK";
const MARK_FILE = ".synthesis";

/** Our folders are named by a uuid. */
const OWN_NAME = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * Makes a folder of ours (mode 0700), or marks one that is there: only marked folders are ever removed.
 * @param folder its name is a uuid, which is also its mark
 */
export function makeMarkedFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(folder, MARK_FILE), basename(folder), { mode: 0o600 });
}

/** The folders in `parent` that synthesis made and marked. Links count for nothing, and neither does a linked parent. */
export function markedFolders(parent: string): string[] {
  if (!isRealFolder(parent)) return [];
  return readdirSync(parent)
    .map((name) => join(parent, name))
    .filter(isMarked);
}

/** Removes a folder of ours with all that is in it; anything else stays. Links in it are removed, not followed. */
export function removeMarkedFolder(folder: string): void {
  if (isMarked(folder)) rmSync(folder, { recursive: true, force: true });
}

/** The environment entry by which the processes of this folder are found. */
export const markOf = (folder: string): string => `${MARK_VARIABLE}=${basename(folder)}`;

function isMarked(folder: string): boolean {
  const name = basename(folder);
  if (!OWN_NAME.test(name) || !isRealFolder(folder)) return false;
  const file = join(folder, MARK_FILE);
  const found = lstatSync(file, { throwIfNoEntry: false });
  return found?.isFile() === true && found.size === name.length && readFileSync(file, "utf8") === name;
}

const isRealFolder = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
