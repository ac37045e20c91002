/** Reads the JSON files that Claude Code and its users write. */
import { tryReadSmallFile } from "../core/regular-file.ts";

/**
 * The parsed content of a file; null when the file is missing, unreadable or not valid JSON. Claude Code ignores such a
 * file too. It may be a link, as people set up for their settings.
 */
export function readJsonFile(path: string): unknown {
  const text = tryReadSmallFile(path);
  if (text === null) return null;
  try {
    // Some editors begin a file with a byte order mark, which Claude Code skips.
    return JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch {
    return null;
  }
}
