import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withOpenFolder } from "../../src/claude/open-folder.ts";

let base: string;
let folder: string;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-test-")));
  folder = join(base, "allowed/project");
  mkdirSync(folder, { recursive: true });
  mkdirSync(join(base, "secret/project"), { recursive: true });
});
afterEach(() => rmSync(base, { recursive: true }));

const startedIn = (cwd: string): string => Bun.spawnSync(["/bin/pwd", "-P"], { cwd }).stdout.toString().trim();

test("a process starts in the folder, and no descriptor stays open", () => {
  for (let index = 0; index < 2_000; index += 1) withOpenFolder(folder, (cwd) => cwd);
  expect(withOpenFolder(folder, startedIn)).toBe(folder);
});

test.if(process.platform === "linux")("a process starts in the folder even if its path leads elsewhere by then", () => {
  const started = withOpenFolder(folder, (cwd) => {
    renameSync(folder, join(base, "moved"));
    symlinkSync(join(base, "secret"), folder);
    return startedIn(cwd);
  });
  expect(started).toBe(join(base, "moved"));
});

describe("a path is refused that has become", () => {
  const swaps: [what: string, swap: () => void][] = [
    [
      "a link",
      () => {
        rmSync(folder, { recursive: true });
        symlinkSync(join(base, "secret"), folder);
      },
    ],
    [
      "a folder below a link",
      () => {
        renameSync(join(base, "allowed"), join(base, "before"));
        symlinkSync(join(base, "secret"), join(base, "allowed"));
      },
    ],
    [
      "a file",
      () => {
        rmSync(folder, { recursive: true });
        writeFileSync(folder, "");
      },
    ],
  ];
  test.each(swaps)("%s", (_what, swap) => {
    swap();
    expect(() => withOpenFolder(folder, startedIn)).toThrow(expect.objectContaining({ code: "workspace_not_allowed" }));
  });
});

test("a folder that may be entered but not read is accepted", () => {
  chmodSync(folder, 0o311);
  expect(withOpenFolder(folder, startedIn)).toBe(folder);
});
