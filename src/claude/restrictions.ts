/** Which settings files keep Claude from something. Claude Code skips a file that it cannot read, and all that it forbids. */
import { existsSync } from "node:fs";
import { smallFileText } from "../core/regular-file.ts";
import { settingsPaths } from "./settings-files.ts";

/** Looked for in the text: a file with an error in it may be no JSON. */
const RESTRICTS = /"(deny|ask|hooks|sandbox)"\s*:/;

/**
 * The settings files of the user and of the workspace that deny something, ask before it, watch it with a hook, or run
 * it in a sandbox.
 * @param env the environment that Claude Code gets
 */
export function restrictingFiles(workspace: string, env: Record<string, string | undefined>): string[] {
  return settingsPaths(workspace, env).filter((file) => {
    if (!existsSync(file)) return false;
    const content = smallFileText(file);
    // What it says is unknown, and may be a restriction.
    return content === null || RESTRICTS.test(content);
  });
}
