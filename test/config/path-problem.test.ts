/** Problems with files and folders, as they are reported to people. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkPath, describePathProblem, type PathUse } from "../../src/config/path-problem.ts";

let base: string;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-test-")));
  writeFileSync(join(base, "file"), "");
  mkdirSync(join(base, "folder"));
  symlinkSync(join(base, "missing"), join(base, "broken-link"));
  symlinkSync(join(base, "loop"), join(base, "loop"));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

describe("checkPath", () => {
  test.each<[path: string, use: PathUse]>([
    ["folder", "folder"],
    ["new/nested", "folder"],
    ["file", "file"],
    ["new/file", "file"],
    ["file", "readable"],
    ["missing", "readable"],
  ])("accepts %s as a %s", (path, use) => {
    expect(checkPath(join(base, path), use)).toBeNull();
  });

  test.each<[path: string, use: PathUse, what: RegExp]>([
    ["file", "folder", /is a file, but synthesis needs a folder/],
    ["file/below", "folder", /file is a file, but/],
    ["folder", "file", /is a folder, but synthesis needs a file/],
    ["folder", "readable", /is a folder, but synthesis needs a file/],
    ["broken-link", "folder", /broken link to \S+missing/],
    ["broken-link/below", "file", /cannot be created: \S+ is a broken link/],
    ["loop", "readable", /broken link to \S+loop/],
    ["x".repeat(300), "folder", /is too long/],
  ])("rejects %p as a %s", (path, use, what) => {
    expect(checkPath(join(base, path), use)).toMatchObject({
      what: expect.stringMatching(what),
      advice: expect.stringMatching(/^[A-Z].*\.$/),
    });
  });

  test("rejects a FIFO, which would block the program that opens it", () => {
    Bun.spawnSync(["mkfifo", join(base, "fifo")]);
    expect(checkPath(join(base, "fifo"), "file")?.what).toContain("not a regular file");
  });

  test.if(process.platform === "linux")("rejects a path in a file system of the kernel", () => {
    expect(checkPath("/proc/x/y", "folder")?.what).toBe("/proc/x/y cannot be created: /proc belongs to the kernel.");
  });
});

describe("describePathProblem", () => {
  test("explains a system error by the problem of its path", () => {
    let thrown: unknown;
    try {
      mkdirSync(join(base, "file/below"));
    } catch (error) {
      thrown = error;
    }
    expect(describePathProblem(thrown)?.what).toContain("is a file, but");
  });

  test("returns null for an error without a path", () => {
    expect(describePathProblem(new Error("unrelated"))).toBeNull();
  });
});
