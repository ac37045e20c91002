/** Rules that keep Claude's tools from what belongs to the server: keys, configuration, database, other processes' files. */
import { realpathSync } from "node:fs";
import type { Paths } from "../config/paths.ts";

/**
 * For `permissions.deny`. Attachments, and a workspace in the state folder, stay readable.
 * Claude Code applies these to the files that a Bash command names, too.
 */
export function denyRules(paths: Paths): string[] {
  const { home } = paths;
  const own = [
    paths.chatKey,
    paths.controlKey,
    paths.configFile,
    paths.openClawRecord,
    `${paths.openClawPlugin}/**`,
    `${paths.run}/**`,
    // With what SQLite writes beside it, and copies that were set aside.
    `${paths.database}*`,
    `${paths.lock}*`,
  ].map((path) => path.slice(home.length));
  return [...new Set([home, realPath(home)])].flatMap((folder) =>
    own.flatMap((rest) => [`Read(/${literal(folder)}${rest})`, `Edit(/${literal(folder)}${rest})`]),
  );
}

/** Claude Code reads these paths as .gitignore does. */
const literal = (path: string): string => path.replace(/[\\*?[\]!#()]/g, "\\$&");

function realPath(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    // It is made at the first start.
    return folder;
  }
}
