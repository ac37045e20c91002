/** The settings files of the user and of a workspace, as far as synthesis depends on them. */
import { join } from "node:path";
import { z } from "zod";
import { configFolder, stateFile } from "./config-folder.ts";
import { readJsonFile } from "./json-file.ts";

type Env = Record<string, string | undefined>;

/** Claude Code ignores a value that does not have the expected type, and so does this schema. */
const ifValid = <T extends z.ZodType>(schema: T) => schema.optional().catch(undefined);
const servers = z.array(
  z.looseObject({ serverName: ifValid(z.string()), serverCommand: ifValid(z.array(z.string())) }),
);

const settingsSchema = z.looseObject({
  env: ifValid(z.record(z.string(), z.unknown())),
  apiKeyHelper: ifValid(z.string()),
  permissions: ifValid(z.looseObject({ deny: ifValid(z.array(z.string())) })),
  statusLine: ifValid(z.looseObject({ type: z.literal("command"), command: z.string() })),
  deniedMcpServers: ifValid(servers),
  allowedMcpServers: ifValid(servers),
});
export type Settings = z.infer<typeof settingsSchema>;

/**
 * The paths at which Claude Code looks for settings.
 * @param workspace null for the user's settings only
 * @param env the environment that Claude Code gets
 */
export function settingsPaths(workspace: string | null, env: Env): string[] {
  const user = join(configFolder(env), "settings.json");
  if (workspace === null) return [user];
  const inWorkspace = join(workspace, ".claude");
  return [user, join(inWorkspace, "settings.json"), join(inWorkspace, "settings.local.json")];
}

/** The settings files that exist and contain an object. Later ones take precedence. */
export function settingsFiles(workspace: string | null, env: Env): { file: string; settings: Settings }[] {
  return settingsPaths(workspace, env).flatMap((file) => {
    const settings = settingsSchema.safeParse(readJsonFile(file));
    return settings.success ? [{ file, settings: settings.data }] : [];
  });
}

const stateSchema = z.looseObject({
  projects: z.record(z.string(), z.looseObject({ disabledMcpServers: ifValid(z.array(z.string())) })),
});

/** The MCP servers that a person has disabled for a workspace with `/mcp`, and the file that says so. */
export function disabledServers(workspace: string, env: Env): { file: string; names: readonly string[] } {
  const file = stateFile(env);
  const state = stateSchema.safeParse(readJsonFile(file));
  return { file, names: (state.success && state.data.projects[workspace]?.disabledMcpServers) || [] };
}
