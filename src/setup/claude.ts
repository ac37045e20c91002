/**
 * `synthesis setup claude`: the managed settings that let our channel in, so that claude does not ask about
 * a development channel at every start. They are the administrator's, for every user of the machine.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { managedFiles } from "../claude/managed-settings.ts";
import { ConfigError } from "../config/config-error.ts";
import { PLUGIN_NAME } from "../plugin/manifest.ts";

/** Ours among the drop-ins, which claude reads in the order of their names. */
export const dropInFile = (folder: string): string => join(folder, "managed-settings.d", "50-synthesis.json");

const OURS = { marketplace: "inline", plugin: PLUGIN_NAME };

/**
 * What the drop-in must hold: a managed file without `channelsEnabled` switches channels off, and an
 * allowlist without a plugin shuts it out, so all that is listed elsewhere is listed here again.
 * @throws ConfigError when the administrator has switched channels off
 */
export function dropIn(folder: string): object {
  const others = managedFiles(folder).filter(({ file }) => file !== dropInFile(folder));
  const against = others.find(({ settings }) => settings.channelsEnabled === false);
  if (against) {
    throw new ConfigError(
      `${against.file} switches channels off (channelsEnabled: false). That is your administrator's decision; ` +
        "synthesis does not override it.",
    );
  }
  const listed = others
    .flatMap(({ settings }) => settings.allowedChannelPlugins ?? [])
    .filter(({ marketplace, plugin }) => marketplace !== OURS.marketplace || plugin !== OURS.plugin);
  return { channelsEnabled: true, allowedChannelPlugins: [...listed, OURS] };
}

/**
 * Writes it. Everybody's claude must be able to read it.
 * @returns its path
 */
export function writeDropIn(folder: string): string {
  const file = dropInFile(folder);
  const content = `${JSON.stringify(dropIn(folder), null, 2)}\n`;
  asRoot(file, () => {
    mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
    writeFileSync(file, content, { mode: 0o644 });
  });
  return file;
}

/** Takes it away again; whether there was one. */
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
    throw new ConfigError(`${file} is the administrator's (${code}). Run this command once more with sudo.`);
  }
}
