/** Which settings files keep Claude from something. Claude Code skips a file that it cannot read, and all that it forbids. */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { readSmallFile } from "./regular-file.ts";

/** Looked for in the text: a file with an error in it may be no JSON. */
const RESTRICTS = /"(deny|ask|hooks|sandbox)"\s*:/;

/**
 * The settings files of the user and of the workspace that deny something, ask before it, watch it with a hook, or run
 * it in a sandbox.
 * @param env the environment that Claude Code gets
 */
export function restrictingFiles(workspace: string, env: Record<string, string | undefined>): string[] {
  const home = env.CLAUDE_CONFIG_DIR || join(env.HOME || homedir(), ".claude");
  const inWorkspace = join(workspace, ".claude");
  return [
    join(home, "settings.json"),
    join(inWorkspace, "settings.json"),
    join(inWorkspace, "settings.local.json"),
  ].filter((file) => {
    if (!existsSync(file)) return false;
    try {
      return RESTRICTS.test(readSmallFile(file, { followsLink: true }));
    } catch {
      // What it says is unknown, and may be a restriction.
      return true;
    }
  });
}
