/** Permission rules that keep Claude's tools from the server's files: keys, configuration, database, process folders. */
import { realpathSync } from "node:fs";
import type { Paths } from "../config/paths.ts";

/**
 * Rules for `permissions.deny`. Attachments, and a workspace inside the state folder, stay readable. Claude Code applies
 * these rules also to files that a Bash command names.
 */
export function denyRules(paths: Paths): string[] {
  const { home } = paths;
  const own = [
    paths.chatKey,
    // The wildcard covers the file that replaces it.
    `${paths.keys}*`,
    paths.controlKey,
    paths.metricsKey,
    paths.serviceEnvironment,
    // The wildcard covers the key that replaces it.
    `${paths.nodeKey}*`,
    paths.configFile,
    paths.openClawRecord,
    paths.channelRecord,
    paths.notificationRecord,
    `${paths.openClawPlugin}/**`,
    `${paths.run}/**`,
    // The wildcard covers SQLite's companion files and databases that were quarantined.
    `${paths.database}*`,
    `${paths.lock}*`,
  ].map((path) => path.slice(home.length));
  return [...new Set([home, realPath(home)])].flatMap((folder) =>
    own.flatMap((rest) => [`Read(/${literal(folder)}${rest})`, `Edit(/${literal(folder)}${rest})`]),
  );
}

/** Claude Code reads the paths in rules as .gitignore patterns. */
const literal = (path: string): string => path.replace(/[\\*?[\]!#()]/g, "\\$&");

function realPath(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    // The folder is created at the first start.
    return folder;
  }
}
