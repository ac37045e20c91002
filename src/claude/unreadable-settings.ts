/**
 * Settings files that Claude Code cannot read, or that have an invalid value. In a terminal a dialog reports them; over
 * stream-json Claude Code skips them silently.
 */
import { existsSync } from "node:fs";
import { RequestError } from "../core/errors.ts";
import { readJsonFile } from "./json-file.ts";
import { restrictingFiles } from "./restricting-settings.ts";
import { settingsPaths } from "./settings-files.ts";

type Env = Record<string, string | undefined>;

/** Claude Code's names of the files that `settingsPaths` returns, in its order. */
const SOURCES = ["userSettings", "projectSettings", "localSettings"];

/** Which settings Claude Code uses. */
export interface UsedSettings {
  readonly sources: readonly string[];
  /** The files in which it has found errors. It uses a file in spite of some errors. */
  readonly faulty: readonly string[];
}

/**
 * What the client should know about unreadable settings files, in sentences.
 * @param env the environment that Claude Code gets
 * @throws RequestError (`claude_not_ready`) when such a file restricts Claude
 */
export const unreadableSettingsNotes = (workspace: string, env: Env): string[] =>
  notesOn(
    settingsPaths(workspace, env).filter((file) => existsSync(file) && readJsonFile(file) === null),
    workspace,
    env,
  );

/**
 * The same for files that Claude Code can read and does not use.
 * @throws RequestError (`claude_not_ready`) when such a file restricts Claude
 */
export function unusedSettingsNotes(workspace: string, env: Env, { sources, faulty }: UsedSettings): string[] {
  if (faulty.length === 0) return [];
  const restricting = restrictingFiles(workspace, env);
  const unused = settingsPaths(workspace, env).filter(
    (file, at) =>
      !sources.includes(SOURCES[at] ?? "") &&
      // Claude Code may name the file by another path.
      (faulty.includes(file) || restricting.includes(file)) &&
      existsSync(file) &&
      readJsonFile(file) !== null,
  );
  return notesOn(unused, workspace, env);
}

function notesOn(skipped: readonly string[], workspace: string, env: Env): string[] {
  const restricting = restrictingFiles(workspace, env).find((file) => skipped.includes(file));
  if (restricting) {
    throw new RequestError(
      "claude_not_ready",
      `Claude Code cannot read the settings file ${restricting}, and without it Claude might do what the file forbids. ` +
        "Correct the file, and send the message again.",
    );
  }
  return skipped.map(
    (file) =>
      `Claude Code cannot read the settings file ${file}, so nothing in it applies. Run \`claude\` in the workspace to ` +
      "see what is wrong with it.",
  );
}
