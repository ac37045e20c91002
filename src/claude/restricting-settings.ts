/**
 * Which settings files restrict Claude. Claude Code skips a settings file that it cannot read, and with it everything
 * that the file forbids.
 */
import { existsSync } from "node:fs";
import { tryReadSmallFile } from "../core/regular-file.ts";
import { settingsPaths } from "./settings-files.ts";

/** A search in the text, because a file with a syntax error cannot be parsed. */
const RESTRICTS = /"(deny|ask|hooks|sandbox)"\s*:/;

/**
 * The settings files of the user and of the workspace that contain deny or ask rules, hooks, or a sandbox.
 * @param env the environment that Claude Code gets
 */
export function restrictingFiles(workspace: string, env: Record<string, string | undefined>): string[] {
  return settingsPaths(workspace, env).filter((file) => {
    if (!existsSync(file)) return false;
    const content = tryReadSmallFile(file);
    // An unreadable file may contain a restriction.
    return content === null || RESTRICTS.test(content);
  });
}
