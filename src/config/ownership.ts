/** Checks that no other user can write the files of the state folder, which decide what the server does. */
import { type Stats, statSync } from "node:fs";
import { dirname } from "node:path";
import { formatMode, type PathProblem } from "./path-problem.ts";

const ROOT = 0;

/** Set to `true` when the state folder is a mounted volume that belongs to another user. */
export const ALLOW_FOREIGN_HOME = "SYNTHESIS_ALLOW_FOREIGN_HOME";

const allowsForeignHome = (): boolean => process.env[ALLOW_FOREIGN_HOME] === "true";

/** Checks that the state folder belongs to this user. @returns null when it does, or does not exist */
export function checkHomeOwner(home: string): PathProblem | null {
  const stats = statSync(home, { throwIfNoEntry: false });
  const self = process.getuid?.();
  // There are no user ids on Windows.
  if (!stats || self === undefined || stats.uid === self || allowsForeignHome()) return null;
  return {
    what: `${home} belongs to another user (${stats.uid}), who can read and change everything in it.`,
    advice: `Run \`sudo chown -R ${self} ${quoted(home)}\`, or for a mounted volume set ${ALLOW_FOREIGN_HOME}=true.`,
  };
}

/**
 * Checks that only this user and root can write a file that decides what the server does.
 * @param path a file in the state folder
 * @returns null when no other user can write it, or it does not exist
 */
export function checkWriters(path: string): PathProblem | null {
  const stats = statSync(path, { throwIfNoEntry: false });
  const self = process.getuid?.();
  if (!stats || self === undefined) return null;
  const volumeOwner = allowsForeignHome() ? statSync(dirname(path)).uid : self;
  return checkStats(path, stats, [self, ROOT, volumeOwner]);
}

function checkStats(path: string, { uid, mode }: Pick<Stats, "uid" | "mode">, trusted: number[]): PathProblem | null {
  if (!trusted.includes(uid)) {
    return {
      what: `${path} belongs to another user (${uid}), who can change it.`,
      advice: `If its content is yours, run \`sudo chown ${trusted[0]} ${quoted(path)}\`. Otherwise remove it.`,
    };
  }
  if ((mode & 0o022) === 0) return null;
  return {
    what: `${path} can be written by other users (mode ${formatMode(mode)}).`,
    advice: `If its content is yours, run \`chmod go-w ${quoted(path)}\`. Otherwise remove it.`,
  };
}

/** The path as one word of a shell command. */
const quoted = (path: string): string =>
  /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
