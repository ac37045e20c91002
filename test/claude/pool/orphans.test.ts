import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { makeMarkedFolder } from "../../../src/claude/marked-folder.ts";
import { killOrphans, waitForOrphans } from "../../../src/claude/pool/orphans.ts";
import { MARK_VARIABLE } from "../../../src/claude/process-mark.ts";
import { descendants, waitForExit } from "../../support/processes.ts";

let base: string;
let run: string;
let children: Bun.Subprocess[] = [];
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-test-")));
  run = join(base, "run");
  mkdirSync(run);
});
afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  children = [];
  rmSync(base, { recursive: true, force: true });
});

/** A process folder that a dead server has left behind. */
const leaveFolder = () => {
  const folder = join(run, crypto.randomUUID());
  makeMarkedFolder(folder);
  return folder;
};
/** A process that belongs to a process folder. */
const startMarked = (folder: string, ...command: string[]) => {
  const env = { PATH: "/usr/bin:/bin", [MARK_VARIABLE]: basename(folder) };
  const child = Bun.spawn(command, { env });
  children.push(child);
  return child;
};

describe("killOrphans", () => {
  test("kills the processes of a process folder and removes the folder", async () => {
    const folder = leaveFolder();
    const child = startMarked(folder, "sleep", "1000");
    killOrphans(run);

    await waitForExit([child.pid]);
    expect(readdirSync(run)).toEqual([]);
  });

  test("leaves folders that are not process folders", () => {
    const folder = join(run, "Documents");
    mkdirSync(folder);
    writeFileSync(join(folder, "precious"), "");
    killOrphans(run);

    expect(existsSync(join(folder, "precious"))).toBe(true);
  });

  test("does nothing before the first process folder exists", () => {
    expect(() => killOrphans(join(base, "none"))).not.toThrow();
  });
});

describe("waitForOrphans", () => {
  test("returns when the orphans have exited by themselves", async () => {
    const child = startMarked(leaveFolder(), "sleep", "0.3");
    await waitForOrphans(run, 10_000);

    expect(descendants(process.pid)).not.toContain(child.pid);
  });

  test("returns after its time-out if orphans are still running", async () => {
    const child = startMarked(leaveFolder(), "sleep", "1000");
    await waitForOrphans(run, 200);

    expect(child.exitCode).toBeNull();
  });
});
