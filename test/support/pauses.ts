/** Measures pauses of a server's event loop, with the preload `record-pauses.ts`. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Arguments of bun that load the recorder before the server. */
export const RECORD_PAUSES: readonly string[] = ["--preload", join(import.meta.dir, "record-pauses.ts")];

export interface PauseFile {
  /** What the server's environment needs. */
  readonly env: { readonly PAUSE_FILE: string };
  /**
   * The longest pause since the last call, in ms; 0 if none was recorded. The recorder's timer runs after a pause, so the
   * server must have answered two requests since then.
   */
  longest(): number;
}

export function createPauseFile(path: string): PauseFile {
  let seen = 0;
  writeFileSync(path, "");
  return {
    env: { PAUSE_FILE: path },
    longest: () => {
      const pauses = readFileSync(path, "utf8").split("\n").filter(Boolean).map(Number);
      const longest = Math.max(0, ...pauses.slice(seen));
      seen = pauses.length;
      return longest;
    },
  };
}
