/** What the machine's administrator has decided about channels and hooks. It takes precedence over our settings. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readJsonFile } from "./json-file.ts";

/** Where Claude Code reads managed settings, according to its documentation. */
export const MANAGED_SETTINGS_FOLDER =
  process.platform === "darwin" ? "/Library/Application Support/ClaudeCode" : "/etc/claude-code";

const managed = z.looseObject({
  allowManagedHooksOnly: z.boolean().optional(),
  disableAllHooks: z.boolean().optional(),
  allowedMcpServers: z.array(z.unknown()).optional().catch(undefined),
  channelsEnabled: z.boolean().optional(),
  allowedChannelPlugins: z.array(z.looseObject({ marketplace: z.string(), plugin: z.string() })).optional(),
});

export interface ManagedSettings {
  /**
   * Our channel is allowed: Claude Code accepts `--channels` without asking. Otherwise it needs the development flag,
   * which opens a dialog at every start.
   */
  readonly channelAllowed: boolean;
  /** Managed settings exist and do not enable channels. */
  readonly channelsDisabled: boolean;
  /** Claude Code ignores our hooks, so answers can only come through the reply tool. */
  readonly hooksForbidden: boolean;
  /** Only listed MCP servers are allowed. Then Claude Code starts no server of any plugin, not even one that is listed. */
  readonly pluginForbidden: boolean;
}

/** What the managed settings in `folder` allow a plugin named `plugin` that is loaded with `--plugin-dir`. */
export function readManagedSettings(plugin: string, folder: string = MANAGED_SETTINGS_FOLDER): ManagedSettings {
  const files = managedFiles(folder);
  let enabled = false;
  let allowed = false;
  let managedHooksOnly = false;
  let hooksDisabled = false;
  for (const { settings } of files) {
    managedHooksOnly = settings.allowManagedHooksOnly ?? managedHooksOnly;
    hooksDisabled = settings.disableAllHooks ?? hooksDisabled;
    enabled = settings.channelsEnabled ?? enabled;
    allowed ||= (settings.allowedChannelPlugins ?? []).some(
      (entry) => entry.marketplace === "inline" && entry.plugin === plugin,
    );
  }
  return {
    channelAllowed: enabled && allowed,
    channelsDisabled: files.length > 0 && !enabled,
    hooksForbidden: managedHooksOnly || hooksDisabled,
    pluginForbidden: files.some(({ settings }) => settings.allowedMcpServers !== undefined),
  };
}

/** The files with managed settings, in the order in which Claude Code reads them. Invalid files are left out. */
export function managedFiles(folder: string): { file: string; settings: z.infer<typeof managed> }[] {
  return managedPaths(folder).flatMap((file) => {
    const settings = managed.safeParse(readJsonFile(file));
    return settings.success ? [{ file, settings: settings.data }] : [];
  });
}

/** The paths at which managed settings may be, in the order in which Claude Code reads them. */
export function managedPaths(folder: string): string[] {
  const dropIns = join(folder, "managed-settings.d");
  const names = existsSync(dropIns) ? readdirSync(dropIns).sort() : [];
  return [
    join(folder, "managed-settings.json"),
    ...names.filter((name) => name.endsWith(".json")).map((name) => join(dropIns, name)),
  ];
}
