/** Prepares the state folder and the workspace, and keeps other users out of them. */
import { chmodSync, existsSync, mkdirSync, statSync } from "node:fs";
import { ConfigError } from "./config-error.ts";
import { checkHomeOwner, checkWriters } from "./ownership.ts";
import { checkPath, type PathProblem, type PathUse } from "./path-problem.ts";
import type { Paths } from "./paths.ts";

/** Finds every problem that would keep a server from starting in this state folder. Changes nothing. */
export function checkStateFolder(paths: Paths): PathProblem[] {
  const home = checkPath(paths.home, "folder") ?? checkHomeOwner(paths.home);
  if (home) return [home];
  const { configFile, chatKey, keys, controlKey, metricsKey, database, lock, run, emptyFolder, attachments } = paths;
  const uses: [PathUse, string[]][] = [
    ["readable", [configFile]],
    ["file", [chatKey, keys, controlKey, metricsKey, database, lock, `${lock}.json`]],
    ["folder", [run, emptyFolder, attachments]],
  ];
  const unusable = uses.flatMap(([use, some]) => some.flatMap((path) => checkPath(path, use) ?? []));
  // The owner of a path that cannot be reached cannot be looked up.
  return unusable.length > 0
    ? unusable
    : [configFile, chatKey, keys, controlKey, metricsKey, database].flatMap((path) => checkWriters(path) ?? []);
}

/**
 * Creates the state folder if it does not exist, and takes its permissions away from other users.
 * @throws ConfigError when the folder or something in it cannot be used
 */
export function prepareStateFolder(paths: Paths): void {
  const [first] = checkStateFolder(paths);
  if (first) throw new ConfigError(`${first.what} ${first.advice}`);
  mkdirSync(paths.home, { recursive: true, mode: 0o700 });
  restrictToOwner(paths.home);
}

/** The mode bit of a folder that all users share, such as /tmp. */
const STICKY = 0o1000;

/** Takes the permissions of a file or folder away from other users, unless it belongs to another user or to all. */
export function restrictToOwner(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats || stats.uid !== process.getuid?.() || stats.mode & STICKY) return;
  if (stats.mode & 0o077) chmodSync(path, stats.mode & 0o700);
}

/**
 * Creates the default workspace if it does not exist.
 * @throws ConfigError when it cannot be created, or is not a folder
 */
export function prepareWorkspace(workspace: string): void {
  if (existsSync(workspace) && statSync(workspace).isDirectory()) return;
  const problem = checkPath(workspace, "folder");
  if (problem) {
    throw new ConfigError(
      `The workspace cannot be used: ${problem.what} ${problem.advice} Or choose another workspace with ` +
        "SYNTHESIS_WORKSPACE.",
    );
  }
  mkdirSync(workspace, { recursive: true, mode: 0o700 });
}
