/** The settings files of the user and of a workspace, as far as they matter to us. */
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { smallFileText } from "../core/regular-file.ts";

/** What does not fit, Claude Code ignores, and so do we. */
const ifFits = <T extends z.ZodType>(schema: T) => schema.optional().catch(undefined);
const servers = z.array(z.looseObject({ serverName: ifFits(z.string()), serverCommand: ifFits(z.array(z.string())) }));

const settings = z.looseObject({
  env: ifFits(z.record(z.string(), z.unknown())),
  permissions: ifFits(z.looseObject({ deny: ifFits(z.array(z.string())) })),
  deniedMcpServers: ifFits(servers),
  allowedMcpServers: ifFits(servers),
});
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

const state = z.looseObject({
  projects: z.record(z.string(), z.looseObject({ disabledMcpServers: ifFits(z.array(z.string())) })),
});

/** The MCP servers that a person has switched off for a workspace with `/mcp`, and the file in which that stands. */
export function disabledServers(
  workspace: string,
  env: Record<string, string | undefined>,
): { file: string; names: readonly string[] } {
  const file = join(env.CLAUDE_CONFIG_DIR || env.HOME || homedir(), ".claude.json");
  const read = state.safeParse(readJson(file));
  return { file, names: (read.success && read.data.projects[workspace]?.disabledMcpServers) || [] };
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(smallFileText(file) ?? "");
  } catch {
    // Claude Code cannot read it either; its start says so.
    return null;
  }
}
