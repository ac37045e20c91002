/** The keys of the doors: made on the first start, kept where only their owner can read them. */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { ConfigError } from "./config-error.ts";
import { checkWriters } from "./ownership.ts";
import { checkPath } from "./path-problem.ts";
import { restrictToOwner } from "./state-folder.ts";

/** The key that clients bring, in `file`. @throws ConfigError as `keyIn` does */
export const loadChatKey = (file: string): string => keyIn(file, "sk-synthesis-");

/** The key that opens the sessions, in `file`, which it never leaves. @throws ConfigError as `keyIn` does */
export const loadControlKey = (file: string): string => keyIn(file, "control-synthesis-");

/**
 * The key in `file`, made there (mode 0600) if there is none yet; a mode that lets others read it is mended.
 * @throws ConfigError when the file cannot be used, can be changed by others, or is shorter than a key can be
 */
function keyIn(file: string, prefix: string): string {
  const obstacle = checkPath(file, "file") ?? checkWriters(file);
  if (obstacle) throw new ConfigError(`${obstacle.what} ${obstacle.advice}`);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  try {
    const key = `${prefix}${randomBytes(24).toString("base64url")}`;
    // "wx" fails if the file is there: of two first starts at once, one makes the key and both use it.
    writeFileSync(file, `${key}\n`, { mode: 0o600, flag: "wx" });
    return key;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  restrictToOwner(file);
  const key = readFileSync(file, "utf8").trim();
  if (key.length < 16) throw new ConfigError(`${file} holds no key. Remove it, and the next start makes a new one.`);
  return key;
}
