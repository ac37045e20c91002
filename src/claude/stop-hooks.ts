/**
 * Whether other Stop hooks than ours may keep claude going at the end of a turn. Claude runs all of them at the same
 * time, so when ours is called the others have not decided yet.
 */
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse } from "jsonc-parser";
import { z } from "zod";
import { smallFileText } from "../core/regular-file.ts";
import { MANAGED_SETTINGS_FOLDER } from "./managed-settings.ts";
import { configFolder } from "./transcript.ts";

const settings = z.looseObject({
  hooks: z
    .looseObject({ Stop: z.array(z.unknown()).catch([]) })
    .optional()
    .catch(undefined),
  enabledPlugins: z.record(z.string(), z.unknown()).optional().catch(undefined),
});

/**
 * Claude takes changed settings over while it runs, so this is asked at each end of a turn; it reads a few small files.
 * @param workspace claude's folder
 * @param counted how many Stop hooks have run at the end of claude's last turn, ours among them; null before one has
 */
export function mayBlockStop(
  workspace: string,
  counted: number | null,
  env: Record<string, string | undefined>,
  managed = MANAGED_SETTINGS_FOLDER,
): boolean {
  if (counted !== null && counted > 1) return true;
  const files = [join(configFolder(env), "settings.json"), ...managedFiles(managed), ...projectFiles(workspace)];
  for (const file of files) {
    const read = readSettings(file);
    if (read?.hooks && read.hooks.Stop.length > 0) return true;
    // A plugin may bring hooks. Once a turn has ended, the count tells.
    if (counted === null && Object.values(read?.enabledPlugins ?? {}).some((enabled) => enabled !== false)) return true;
  }
  return false;
}

/** Settings of the folder and of those above it, whichever of them claude takes for the project's. */
function projectFiles(folder: string): string[] {
  const own = ["settings.json", "settings.local.json"].map((name) => join(folder, ".claude", name));
  return dirname(folder) === folder ? own : [...own, ...projectFiles(dirname(folder))];
}

function managedFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const dropIns = join(folder, "managed-settings.d");
  const names = existsSync(dropIns) ? readdirSync(dropIns).map((name) => join(dropIns, name)) : [];
  return [join(folder, "managed-settings.json"), ...names];
}

function readSettings(file: string): z.infer<typeof settings> | null {
  const text = smallFileText(file);
  if (text === null) return null;
  const read = settings.safeParse(parse(text));
  return read.success ? read.data : null;
}
