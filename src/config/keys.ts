/** The server's keys. They are created on the first start, in files that only their owner can read. */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { ConfigError } from "./config-error.ts";
import { checkWriters } from "./ownership.ts";
import { checkPath } from "./path-problem.ts";
import { restrictToOwner } from "./state-folder.ts";

/** A key file with a shorter content is incomplete. */
export const MIN_KEY_LENGTH = 16;

/** The key that clients send. @throws ConfigError as `loadKey` does */
export const loadChatKey = (file: string): string => loadKey(file, "sk-synthesis-");

/** The key of the control API. Only commands that can read `file` know it. @throws ConfigError as `loadKey` does */
export const loadControlKey = (file: string): string => loadKey(file, "control-synthesis-");

/** The key that opens the metrics and nothing else. @throws ConfigError as `loadKey` does */
export const loadMetricsKey = (file: string): string => loadKey(file, "metrics-synthesis-");

/**
 * Reads the key in `file`, or creates it there with mode 0600. Takes the file's permissions away from other users.
 * @throws ConfigError when the file cannot be used, another user can write it, or its content is too short
 */
function loadKey(file: string, prefix: string): string {
  const problem = checkPath(file, "file") ?? checkWriters(file);
  if (problem) throw new ConfigError(`${problem.what} ${problem.advice}`);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  try {
    const key = `${prefix}${randomBytes(24).toString("base64url")}`;
    // "wx" fails when the file exists, so that two servers that start at the same time use the same key.
    writeFileSync(file, `${key}\n`, { mode: 0o600, flag: "wx" });
    return key;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  restrictToOwner(file);
  const key = readFileSync(file, "utf8").trim();
  if (key.length >= MIN_KEY_LENGTH) return key;
  throw new ConfigError(`${file} contains no key. Remove the file; the next start creates a new key.`);
}
