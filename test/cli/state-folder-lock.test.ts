/** The lock on the state folder, while another process holds it. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lockStateFolder } from "../../src/cli/state-folder-lock.ts";
import { ConfigError } from "../../src/config/config-error.ts";
import { type Paths, pathsFor } from "../../src/config/paths.ts";
import { acquireLock, type Lock } from "../../src/store/lock.ts";

let paths: Paths;
beforeEach(() => {
  paths = pathsFor(mkdtempSync(join(tmpdir(), "synthesis-test-")));
});
afterEach(() => rmSync(paths.home, { recursive: true }));

/** @param silently as a watchdog, which names no holder */
function hold(silently: boolean): Lock {
  const result = acquireLock(paths.lock, silently);
  if ("lock" in result) return result.lock;
  throw new Error("the lock is held");
}

test("names the server that holds the lock", async () => {
  const held = hold(false);
  held.announce(12_345);
  const locking = lockStateFolder(paths);
  await expect(locking).rejects.toThrow(ConfigError);
  await expect(locking).rejects.toThrow(`(pid ${process.pid}, port 12345) uses ${paths.home}`);
  held.release();
});

test("waits for a watchdog that kills orphans", async () => {
  const held = hold(true);
  const locking = lockStateFolder(paths);
  await Bun.sleep(150);
  held.release();
  (await locking).release();
});

test("explains a lock file that cannot be used", async () => {
  mkdirSync(paths.lock);
  await expect(lockStateFolder(paths)).rejects.toThrow(ConfigError);
});
