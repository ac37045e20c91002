/** Adds folders to the allowed roots in our own configuration file, and takes them out; the rest stays as written. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { applyEdits, modify } from "jsonc-parser";
import { z } from "zod";

const NAME = "allowedRoots";
const file = z.looseObject({ [NAME]: z.array(z.string()).optional() });

/** Those in the file itself, whatever the environment says; null when it names none. */
export function rootsIn(configFile: string): string[] | null {
  if (!existsSync(configFile)) return null;
  return file.parse(Bun.JSONC.parse(readFileSync(configFile, "utf8")))[NAME] ?? null;
}

/** @param roots all there shall be; null takes the setting out */
export function writeAllowedRoots(configFile: string, roots: readonly string[] | null): void {
  const before = existsSync(configFile) ? readFileSync(configFile, "utf8") : "{}\n";
  const edits = modify(before, [NAME], roots ?? undefined, {
    formattingOptions: { insertSpaces: true, tabSize: 2, eol: "\n" },
  });
  writeFileSync(configFile, applyEdits(before, edits), { mode: 0o600 });
}
