/**
 * The managed settings with which Claude Code loads our channel without asking at every start. They apply to every user
 * of the machine, and only its administrator can write them.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { managedFiles } from "../claude/managed-settings.ts";
import { ConfigError } from "../config/config-error.ts";
import { PLUGIN_NAME } from "../plugin/manifest.ts";

/** Our file of managed settings. Claude Code reads the files in this folder in the order of their names. */
export const dropInFile = (folder: string): string => join(folder, "managed-settings.d", "50-synthesis.json");

const OURS = { marketplace: "inline", plugin: PLUGIN_NAME };

/**
 * The content of our file. It must set `channelsEnabled`, because managed settings without it disable channels. It must
 * repeat the plugins that other files list, because Claude Code loads no channel that the last list does not name.
 * @throws ConfigError when the administrator has disabled channels
 */
export function dropIn(folder: string): object {
  const others = managedFiles(folder).filter(({ file }) => file !== dropInFile(folder));
  const disabling = others.find(({ settings }) => settings.channelsEnabled === false);
  if (disabling) {
    throw new ConfigError(
      `${disabling.file} disables channels (channelsEnabled: false). synthesis does not override your administrator's ` +
        "decision. Ask them to enable channels.",
    );
  }
  const listed = others
    .flatMap(({ settings }) => settings.allowedChannelPlugins ?? [])
    .filter(({ marketplace, plugin }) => marketplace !== OURS.marketplace || plugin !== OURS.plugin);
  return { channelsEnabled: true, allowedChannelPlugins: [...listed, OURS] };
}

/** Writes our file, readable by every user. @returns its path */
export function writeDropIn(folder: string): string {
  const file = dropInFile(folder);
  const content = `${JSON.stringify(dropIn(folder), null, 2)}\n`;
  asRoot(file, () => {
    mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
    writeFileSync(file, content, { mode: 0o644 });
  });
  return file;
}

/** Removes our file. @returns whether it existed */
export function removeDropIn(folder: string): boolean {
  const file = dropInFile(folder);
  if (!existsSync(file)) return false;
  asRoot(file, () => rmSync(file));
  return true;
}

function asRoot(file: string, change: () => void): void {
  try {
    change();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EACCES" && code !== "EPERM" && code !== "EROFS") throw error;
    throw new ConfigError(`Only root can change ${file} (${code}). Run this command again with sudo.`);
  }
}
