/** Finds programs on PATH the way a shell does, but never through a relative PATH entry. */
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, isAbsolute, resolve } from "node:path";

/**
 * A PATH without its relative entries. A relative entry names a different program in each folder; an empty entry means
 * the current folder.
 */
export const absoluteEntries = (path: string | undefined): string =>
  (path ?? "")
    .split(delimiter)
    .filter((entry) => isAbsolute(entry))
    .join(delimiter);

/**
 * The absolute path of a program.
 * @param name a path if it contains a slash, otherwise a name to look up on PATH
 * @returns null when there is no such executable file
 */
export function findProgram(name: string, env: Record<string, string | undefined>): string | null {
  if (!name.includes("/")) return Bun.which(name, { PATH: absoluteEntries(env.PATH) });
  const path = resolve(name);
  return isExecutableFile(path) ? path : null;
}

function isExecutableFile(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    // The file is missing or may not be executed. The caller treats both alike.
    return false;
  }
}
