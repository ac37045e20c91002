/** Whose the files of the state folder are. What another user can write, that user may have written. */
import { type Stats, statSync } from "node:fs";
import { dirname } from "node:path";
import type { PathProblem } from "./path-problem.ts";

const ROOT = 0;

/** Set to `true` for a state folder on a mounted volume, whose owner is another user. */
export const ALLOW_FOREIGN_HOME = "SYNTHESIS_ALLOW_FOREIGN_HOME";

const allowsForeignHome = (): boolean => process.env[ALLOW_FOREIGN_HOME] === "true";

/** Why the state folder must not be used: it belongs to another user. Null when it may, or is not there. */
export function checkHomeOwner(home: string): PathProblem | null {
  const found = statSync(home, { throwIfNoEntry: false });
  const self = process.getuid?.();
  // Windows has no user ids.
  if (!found || self === undefined || found.uid === self || allowsForeignHome()) return null;
  return {
    what: `${home} belongs to another user (${found.uid}), who can read and change all that is in it.`,
    advice: `sudo chown -R ${self} ${quoted(home)}; or, for a mounted volume, set ${ALLOW_FOREIGN_HOME}=true.`,
  };
}

/**
 * Why a file that decides what this server does must not be used: others than its user and root can change it.
 * @param path a file in the state folder; one that is not there is fine
 */
export function checkWriters(path: string): PathProblem | null {
  const found = statSync(path, { throwIfNoEntry: false });
  const self = process.getuid?.();
  if (!found || self === undefined) return null;
  const volumeOwner = allowsForeignHome() ? statSync(dirname(path)).uid : self;
  return problemOf(path, found, [self, ROOT, volumeOwner]);
}

function problemOf(path: string, { uid, mode }: Pick<Stats, "uid" | "mode">, trusted: number[]): PathProblem | null {
  if (!trusted.includes(uid)) {
    return {
      what: `${path} belongs to another user (${uid}), who can change it.`,
      advice: `If its content is yours: sudo chown ${trusted[0]} ${quoted(path)}. Otherwise remove it.`,
    };
  }
  if ((mode & 0o022) === 0) return null;
  return {
    what: `${path} can be written by others (mode ${(mode & 0o777).toString(8).padStart(4, "0")}).`,
    advice: `If its content is yours: chmod go-w ${quoted(path)}. Otherwise remove it.`,
  };
}

/** As a shell takes it. */
const quoted = (path: string): string =>
  /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
