/** What the machine's administrator has said about channels and hooks. It wins over all that we say. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

/** Where Claude Code reads managed settings, by its own documentation. */
export const MANAGED_SETTINGS_FOLDER =
  process.platform === "darwin" ? "/Library/Application Support/ClaudeCode" : "/etc/claude-code";

const managed = z.looseObject({
  allowManagedHooksOnly: z.boolean().optional(),
  channelsEnabled: z.boolean().optional(),
  allowedChannelPlugins: z.array(z.looseObject({ marketplace: z.string(), plugin: z.string() })).optional(),
});

export interface ManagedSettings {
  /**
   * Our channel is let in: claude starts it with `--channels` and asks nothing. Otherwise it takes the
   * development flag, which opens a dialog at every start.
   */
  readonly channelAllowed: boolean;
  /** There are managed settings, and they switch channels off (by leaving them out, too). */
  readonly channelsDisabled: boolean;
  /** No hook of ours will come; only the reply tool can bring an answer. */
  readonly hooksForbidden: boolean;
}

/** What the managed settings in `folder` say of a plugin named `plugin` from `--plugin-dir`. */
export function readManagedSettings(plugin: string, folder: string = MANAGED_SETTINGS_FOLDER): ManagedSettings {
  let enabled = false;
  let allowed = false;
  let hooksForbidden = false;
  let managedAtAll = false;
  for (const { settings } of managedFiles(folder)) {
    managedAtAll = true;
    hooksForbidden = settings.allowManagedHooksOnly ?? hooksForbidden;
    enabled = settings.channelsEnabled ?? enabled;
    allowed ||= (settings.allowedChannelPlugins ?? []).some(
      (entry) => entry.marketplace === "inline" && entry.plugin === plugin,
    );
  }
  return { channelAllowed: enabled && allowed, channelsDisabled: managedAtAll && !enabled, hooksForbidden };
}

/** The files of managed settings in the order in which claude reads them. */
export function managedFiles(folder: string): { file: string; settings: z.infer<typeof managed> }[] {
  const dropIns = join(folder, "managed-settings.d");
  const files = [
    join(folder, "managed-settings.json"),
    ...(existsSync(dropIns)
      ? readdirSync(dropIns)
          .sort()
          .filter((file) => file.endsWith(".json"))
      : []
    ).map((file) => join(dropIns, file)),
  ];
  return files.flatMap((file) => {
    const settings = existsSync(file) ? managed.safeParse(readJson(file)) : null;
    // A file claude cannot use either says nothing.
    return settings?.success ? [{ file, settings: settings.data }] : [];
  });
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    // Unreadable or not JSON: claude goes on without it, and so do we.
    return null;
  }
}
