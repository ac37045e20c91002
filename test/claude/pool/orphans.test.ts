/** What clearing up after a killed server ends and removes, and what it leaves alone. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { makeMarkedFolder } from "../../../src/claude/marked-folder.ts";
import { killOrphans } from "../../../src/claude/pool/orphans.ts";
import { findMarked, MARK_VARIABLE, markOf } from "../../../src/claude/process-mark.ts";
import { createAttachmentStore } from "../../../src/conversation/attachment-store.ts";
import { waitForExit } from "../../support/processes.ts";

let base: string;
let run: string;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-test-")));
  run = join(base, "run");
  mkdirSync(run);
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

/** A folder that is not ours, with something in it. */
const theirs = (name: string) => {
  const folder = join(base, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "precious"), "");
  return folder;
};
const ours = (parent = run) => {
  const folder = join(parent, crypto.randomUUID());
  makeMarkedFolder(folder);
  return folder;
};

test("removes a folder that a killed server has left", () => {
  ours();
  killOrphans(run);
  expect(readdirSync(run)).toEqual([]);
});

test("finds nothing where there is no folder yet", () => {
  expect(() => killOrphans(join(base, "none"))).not.toThrow();
});

describe("does not remove", () => {
  const cases: [what: string, plant: () => string][] = [
    ["a folder with our kind of name and no mark", () => theirs(`run/${crypto.randomUUID()}`)],
    [
      "a folder with another name",
      () => {
        const folder = theirs("run/Documents");
        writeFileSync(join(folder, ".synthesis"), "Documents");
        return folder;
      },
    ],
    [
      "a folder with the mark of another",
      () => {
        const folder = theirs(`run/${crypto.randomUUID()}`);
        writeFileSync(join(folder, ".synthesis"), crypto.randomUUID());
        return folder;
      },
    ],
    [
      "a folder whose mark is a link",
      () => {
        const folder = theirs(`run/${crypto.randomUUID()}`);
        writeFileSync(join(base, "mark"), basename(folder));
        symlinkSync(join(base, "mark"), join(folder, ".synthesis"));
        return folder;
      },
    ],
    [
      "what a link with our kind of name leads to",
      () => {
        const folder = theirs("elsewhere");
        const link = join(run, crypto.randomUUID());
        writeFileSync(join(folder, ".synthesis"), basename(link));
        symlinkSync(folder, link);
        return folder;
      },
    ],
    [
      "a marked folder behind a linked run folder",
      () => {
        const folder = ours(join(base, "run"));
        writeFileSync(join(folder, "precious"), "");
        renameSync(run, join(base, "elsewhere"));
        symlinkSync(join(base, "elsewhere"), run);
        return join(base, "elsewhere", basename(folder));
      },
    ],
  ];
  test.each(cases)("%s", (_what, plant) => {
    const folder = plant();
    killOrphans(run);
    expect(existsSync(join(folder, "precious"))).toBe(true);
  });
});

test("a link in a folder of ours goes, and what it leads to stays", () => {
  const folder = theirs("elsewhere");
  symlinkSync(folder, join(ours(), "latest"));
  killOrphans(run);
  expect([readdirSync(run), readdirSync(folder)]).toEqual([[], ["precious"]]);
});

test("a conversation's images go only where they are ours", () => {
  const pictures = createAttachmentStore(join(base, "images"));
  const [own, planted] = [crypto.randomUUID(), crypto.randomUUID()];
  const path = pictures.saveFile(own, "image", "png");
  expect(readFileSync(path, "utf8")).toBe("image");
  const folder = theirs("elsewhere");
  symlinkSync(folder, join(base, "images", planted));
  const later = Date.now() + 1_000;
  expect(pictures.unusedSince(later)).toEqual([own]);
  for (const session of [own, planted, "../elsewhere"]) pictures.remove(session);
  expect([existsSync(path), readdirSync(folder)]).toEqual([false, ["precious"]]);
});

test("ends what carries the mark, and nothing that only looks like it", async () => {
  const folder = ours();
  const mark = basename(folder);
  const start = (env: Record<string, string>) =>
    Bun.spawn(["sleep", "1000"], { env: { PATH: "/usr/bin:/bin", ...env } });
  const marked = start({ [MARK_VARIABLE]: mark });
  const others = [
    start({ [MARK_VARIABLE]: `${mark}0` }),
    start({ [MARK_VARIABLE]: mark.slice(0, -1) }),
    start({ [`X_${MARK_VARIABLE}`]: mark }),
    start({ NOTE: markOf(folder) }),
    start({ NOTE: `a ${markOf(folder)} b` }),
  ];
  expect(findMarked(markOf(folder))).toEqual([marked.pid]);
  killOrphans(run);
  await waitForExit([marked.pid]);
  expect(others.map(({ exitCode, signalCode }) => exitCode ?? signalCode)).toEqual(others.map(() => null));
  for (const other of others) other.kill();
});
