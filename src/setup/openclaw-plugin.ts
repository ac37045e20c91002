/** Writes our OpenClaw plugin, which is part of this program, into a folder from which OpenClaw can load it. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

const FILES = ["package.json", "openclaw.plugin.json", "index.js"];
const source = join(import.meta.dir, "openclaw-plugin");
const contentOf = (folder: string, file: string) => readFileSync(join(folder, file), "utf8");

/** Whether `folder` contains the plugin of this version of the program. */
export const isPluginWritten = (folder: string): boolean =>
  FILES.every((file) => existsSync(join(folder, file)) && contentOf(folder, file) === contentOf(source, file));

export function writeOpenClawPlugin(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const file of FILES) writeFileSync(join(folder, file), contentOf(source, file), { mode: 0o600 });
}

const manifest = z.looseObject({ version: z.string() });

/** The version of the plugin in `folder`; null when there is none. */
export function pluginVersion(folder: string): string | null {
  try {
    return manifest.parse(JSON.parse(contentOf(folder, "openclaw.plugin.json"))).version;
  } catch {
    // There is no plugin, or not ours.
    return null;
  }
}
