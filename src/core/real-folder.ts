/** The real path of a folder that a person has named. */
import { realpathSync } from "node:fs";
import { resolve } from "node:path";

/** The folder's real path, or its absolute path when it does not exist yet or cannot be reached. */
export function realFolder(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    // The first use of the folder fails, and says why it cannot be reached.
    return resolve(folder);
  }
}
