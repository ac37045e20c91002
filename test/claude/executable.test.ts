import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { claudeAuth, claudeVersion, findExecutable, requireExecutable } from "../../src/claude/executable.ts";

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-test-")));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const env = { PATH: "/usr/bin:/bin" };
/** A program that prints `output`. */
const write = (name: string, output: string, mode = 0o755) => {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\ncat <<'END'\n${output}\nEND\n`, { mode });
  return path;
};

describe("findExecutable", () => {
  test("takes a path as it is", () => {
    const path = write("claude", "");

    expect(findExecutable(path, env)).toBe(path);
  });

  test("finds a name on PATH", () => {
    const path = write("my-claude", "");

    expect(findExecutable("my-claude", { PATH: `/none:${folder}` })).toBe(path);
  });

  test("ignores relative entries of PATH", () => {
    write("my-claude", "");

    expect(findExecutable("my-claude", { PATH: "." })).toBeNull();
  });

  test("falls back to the project's own Claude Code", () => {
    expect(findExecutable("claude", { PATH: "/none" })).toEndWith("node_modules/.bin/claude");
  });

  test.each<[what: string, plant: () => string]>([
    ["a file that may not be executed", () => write("claude", "", 0o644)],
    [
      "a folder",
      () => {
        mkdirSync(join(folder, "claude"));
        return join(folder, "claude");
      },
    ],
    ["a missing file", () => join(folder, "claude")],
  ])("does not take %s", (_what, plant) => {
    const path = plant();

    expect(findExecutable(path, env)).toBeNull();
    expect(() => requireExecutable({ claudeBin: path }, env)).toThrow(
      expect.objectContaining({ code: "claude_not_found" }),
    );
  });
});

describe("claudeVersion", () => {
  test("reads the version of Claude Code", async () => {
    expect(await claudeVersion(write("claude", "2.1.332 (Claude Code)"), env)).toBe("2.1.332");
  });

  test("is null for another program", async () => {
    expect(await claudeVersion(write("other", "other 2.1.332"), env)).toBeNull();
    expect(await claudeVersion(join(folder, "missing"), env)).toBeNull();
  });
});

describe("claudeAuth", () => {
  test("reads whether a user is logged in", async () => {
    const status = { loggedIn: true, authMethod: "oauth" };

    expect(await claudeAuth(write("claude", JSON.stringify(status)), env, folder)).toMatchObject(status);
  });

  test("is null when the program does not answer with JSON", async () => {
    expect(await claudeAuth(write("claude", "error: unknown command"), env, folder)).toBeNull();
  });
});
