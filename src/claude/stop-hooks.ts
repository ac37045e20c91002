/**
 * Whether other Stop hooks than ours may keep Claude working at the end of a turn. Claude Code runs all Stop hooks at
 * the same time, so the others have not decided yet when ours is called.
 */
import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse } from "jsonc-parser";
import { z } from "zod";
import { tryReadSmallFile } from "../core/regular-file.ts";
import { configFolder } from "./config-folder.ts";
import { MANAGED_SETTINGS_FOLDER, managedPaths } from "./managed-settings.ts";

const settings = z.looseObject({
  hooks: z
    .looseObject({ Stop: z.array(z.unknown()).catch([]) })
    .optional()
    .catch(undefined),
  enabledPlugins: z.record(z.string(), z.unknown()).optional().catch(undefined),
});

/**
 * Reads the settings anew at the end of each turn, because Claude Code applies changed settings while it runs.
 * @param workspace the folder in which Claude works
 * @param counted how many Stop hooks ran at the end of the last turn, ours included; null before the first turn has ended
 */
export function mayBlockStop(
  workspace: string,
  counted: number | null,
  env: Record<string, string | undefined>,
  managed = MANAGED_SETTINGS_FOLDER,
): boolean {
  if (counted !== null && counted > 1) return true;
  const files = [join(configFolder(env), "settings.json"), ...managedPaths(managed), ...projectFiles(workspace)];
  for (const file of files) {
    const read = readSettings(file);
    if (read?.hooks && read.hooks.Stop.length > 0) return true;
    // A plugin may contain Stop hooks. Once a turn has ended, `counted` says whether one does.
    if (counted === null && Object.values(read?.enabledPlugins ?? {}).some((enabled) => enabled !== false)) return true;
  }
  return false;
}

/** The settings of the folder and of all folders above it: Claude Code may use any of them as the project's. */
function projectFiles(folder: string): string[] {
  const settings = join(folder, ".claude");
  // Most folders above a workspace have no settings.
  const own = existsSync(settings) ? [join(settings, "settings.json"), join(settings, "settings.local.json")] : [];
  return dirname(folder) === folder ? own : [...own, ...projectFiles(dirname(folder))];
}

/** What was read of a file, and by what its next change is noticed. */
interface Read {
  readonly version: string;
  readonly settings: z.infer<typeof settings> | null;
}

/** Every turn ends with a look at some ten files, which hardly ever change. */
const reads = new Map<string, Read>();
/** Beyond this many files the oldest is read again when it is needed. */
const MAX_READS = 1_000;

function readSettings(file: string): z.infer<typeof settings> | null {
  const stats = statSync(file, { bigint: true, throwIfNoEntry: false });
  if (!stats) return null;
  const version = `${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeNs} ${stats.ctimeNs}`;
  const known = reads.get(file);
  if (known?.version === version) return known.settings;
  const text = tryReadSmallFile(file);
  const read = text === null ? null : settings.safeParse(parse(text));
  const result = read?.success ? read.data : null;
  reads.delete(file);
  reads.set(file, { version, settings: result });
  for (const oldest of reads.keys()) {
    if (reads.size <= MAX_READS) break;
    reads.delete(oldest);
  }
  return result;
}
