/** The state folder: what in it cannot be used, and that nobody else can read it. */
import { chmodSync, existsSync, mkdirSync, statSync } from "node:fs";
import { ConfigError } from "./config-error.ts";
import { checkHomeOwner, checkWriters } from "./ownership.ts";
import { checkPath, type PathProblem, type PathUse } from "./path-problem.ts";
import type { Paths } from "./paths.ts";

/** What is in the way of a server's start in this folder. Changes nothing. */
export function checkStateFolder(paths: Paths): PathProblem[] {
  const folder = checkPath(paths.home, "folder");
  if (folder) return [folder];
  const foreign = checkHomeOwner(paths.home);
  if (foreign) return [foreign];
  const { configFile, chatKey, controlKey, database, lock, run, emptyFolder, attachments } = paths;
  const uses: [PathUse, string[]][] = [
    ["readable", [configFile]],
    ["file", [chatKey, controlKey, database, lock, `${lock}.json`]],
    ["folder", [run, emptyFolder, attachments]],
  ];
  const unusable = uses.flatMap(([use, some]) => some.flatMap((path) => checkPath(path, use) ?? []));
  // Read only where it can be: what cannot be used has no owner to look at.
  return unusable.length > 0
    ? unusable
    : [configFile, chatKey, controlKey, database].flatMap((path) => checkWriters(path) ?? []);
}

/**
 * Makes the folder if it is not there, and takes it from others who could read it.
 * @throws ConfigError when it, or something in it, cannot be used
 */
export function prepareStateFolder(paths: Paths): void {
  const [first] = checkStateFolder(paths);
  if (first) throw new ConfigError(`${first.what} ${first.advice}`);
  mkdirSync(paths.home, { recursive: true, mode: 0o700 });
  restrictToOwner(paths.home);
}

/** On a folder that is everybody's, such as /tmp. */
const STICKY = 0o1000;

/** Takes away what others may do with a file or folder, if it is ours and not meant for them. */
export function restrictToOwner(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found || found.uid !== process.getuid?.() || found.mode & STICKY) return;
  if (found.mode & 0o077) chmodSync(path, found.mode & 0o700);
}

/**
 * Makes the workspace if it is not there.
 * @throws ConfigError when it cannot be made, or is none
 */
export function prepareWorkspace(workspace: string): void {
  if (existsSync(workspace) && statSync(workspace).isDirectory()) return;
  const obstacle = checkPath(workspace, "folder");
  if (obstacle) {
    throw new ConfigError(
      `The workspace: ${obstacle.what} ${obstacle.advice} Or name another with SYNTHESIS_WORKSPACE.`,
    );
  }
  mkdirSync(workspace, { recursive: true, mode: 0o700 });
}
