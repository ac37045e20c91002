/** Reads and writes the allowed roots in our own configuration file. Everything else in the file stays as it is. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { applyEdits, modify } from "jsonc-parser";
import { z } from "zod";

const NAME = "allowedRoots";
const file = z.looseObject({ [NAME]: z.array(z.string()).optional() });

/** The allowed roots in the file, also when the environment sets others; null when the file has none. */
export function readAllowedRoots(configFile: string): string[] | null {
  if (!existsSync(configFile)) return null;
  return file.parse(Bun.JSONC.parse(readFileSync(configFile, "utf8")))[NAME] ?? null;
}

/** @param roots all allowed roots; null removes the setting */
export function writeAllowedRoots(configFile: string, roots: readonly string[] | null): void {
  const before = existsSync(configFile) ? readFileSync(configFile, "utf8") : "{}\n";
  const edits = modify(before, [NAME], roots ?? undefined, {
    formattingOptions: { insertSpaces: true, tabSize: 2, eol: "\n" },
  });
  writeFileSync(configFile, applyEdits(before, edits), { mode: 0o600 });
}
