/** The lock on a state folder. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { acquireLock, type Lock, lockHolder } from "../../src/store/lock.ts";

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "synthesis-test-"));
  file = join(folder, "server.lock");
});
afterEach(() => rmSync(folder, { recursive: true }));

function acquire(silently = false): Lock {
  const result = acquireLock(file, silently);
  if ("lock" in result) return result.lock;
  throw new Error("the lock is held");
}

test("only one process holds the lock, and others learn its pid and port", () => {
  expect(lockHolder(file)).toBeNull();
  const lock = acquire();
  expect(acquireLock(file)).toEqual({ heldBy: { pid: process.pid } });
  lock.announce(4711);
  expect(acquireLock(file)).toEqual({ heldBy: { pid: process.pid, port: 4711 } });
  expect(lockHolder(file)).toEqual({ pid: process.pid, port: 4711 });
  lock.release();
  expect(lockHolder(file)).toBeNull();
  acquire().release();
});

test("a silent holder is unknown", () => {
  const lock = acquire(true);
  expect(acquireLock(file)).toEqual({ heldBy: null });
  expect(lockHolder(file)).toBeNull();
  lock.release();
});

test("a second release does not remove the file of the next holder", () => {
  const first = acquire();
  first.release();
  const second = acquire();
  first.release();
  expect(existsSync(`${file}.json`)).toBe(true);
  second.release();
});

test("the holder file of a killed process does not count", () => {
  writeFileSync(`${file}.json`, JSON.stringify({ pid: 1, port: 4711 }));
  writeFileSync(file, "");
  expect(lockHolder(file)).toBeNull();
  acquire().release();
});

test("a symbolic link in place of the lock is not followed", () => {
  symlinkSync(join(folder, "elsewhere"), file);
  expect(() => acquireLock(file)).toThrow();
  expect(existsSync(join(folder, "elsewhere"))).toBe(false);
});
