/** The settings files of the user and of a workspace, as far as they matter to us. */
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { smallFileText } from "./regular-file.ts";

const settings = z.looseObject({ env: z.record(z.string(), z.unknown()).optional().catch(undefined) });
export type Settings = z.infer<typeof settings>;

/** Where Claude Code looks for settings. @param env the environment that Claude Code gets */
export function settingsPaths(workspace: string, env: Record<string, string | undefined>): string[] {
  const home = env.CLAUDE_CONFIG_DIR || join(env.HOME || homedir(), ".claude");
  const inWorkspace = join(workspace, ".claude");
  return [join(home, "settings.json"), join(inWorkspace, "settings.json"), join(inWorkspace, "settings.local.json")];
}

/** Those that are there and hold an object; later ones win. */
export function settingsFiles(
  workspace: string,
  env: Record<string, string | undefined>,
): { file: string; settings: Settings }[] {
  return settingsPaths(workspace, env).flatMap((file) => {
    const read = settings.safeParse(readJson(file));
    return read.success ? [{ file, settings: read.data }] : [];
  });
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(smallFileText(file) ?? "");
  } catch {
    // Claude Code cannot read it either; its start says so.
    return null;
  }
}
