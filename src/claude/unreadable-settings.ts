/** Settings files that Claude Code cannot read. In a terminal a dialog reports them; over stream-json it skips them silently. */
import { existsSync } from "node:fs";
import { RequestError } from "../core/errors.ts";
import { readJsonFile } from "./json-file.ts";
import { restrictingFiles } from "./restricting-settings.ts";
import { settingsPaths } from "./settings-files.ts";

/**
 * What the client should know about unreadable settings files, in sentences.
 * @param env the environment that Claude Code gets
 * @throws RequestError (`claude_not_ready`) when such a file restricts Claude
 */
export function settingsNotes(workspace: string, env: Record<string, string | undefined>): string[] {
  const unreadable = settingsPaths(workspace, env).filter((file) => existsSync(file) && readJsonFile(file) === null);
  const restricting = restrictingFiles(workspace, env).find((file) => unreadable.includes(file));
  if (restricting) {
    throw new RequestError(
      "claude_not_ready",
      `Claude Code cannot read the settings file ${restricting}, and without it Claude might do what the file forbids. ` +
        "Correct the file, and send the message again.",
    );
  }
  return unreadable.map(
    (file) =>
      `Claude Code cannot read the settings file ${file}, so nothing in it applies. Run \`claude\` in the workspace to ` +
      "see what is wrong with it.",
  );
}
