/** Puts files into a folder that a hostile workspace could have. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Writes a text, or a value as JSON, and creates the folders above the file. */
export function write(path: string, content: string | object): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
}

/** Where Claude Code looks for the settings of a folder. */
export const settingsFileOf = (folder: string): string => join(folder, ".claude/settings.json");

export const projectSettings = (folder: string, settings: object): void => write(settingsFileOf(folder), settings);
