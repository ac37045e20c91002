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
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { makeMarkedFolder, markedFolders, removeMarkedFolder } from "../../src/claude/marked-folder.ts";
import { createAttachmentStore } from "../../src/conversation/attachment-store.ts";

let base: string;
let run: string;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-test-")));
  run = join(base, "run");
  mkdirSync(run);
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

/** A folder of the user's with a file in it. */
const makeUserFolder = (name: string) => {
  const folder = join(base, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "precious"), "");
  return folder;
};
const makeFolder = (parent = run) => {
  const folder = join(parent, crypto.randomUUID());
  makeMarkedFolder(folder);
  return folder;
};
const removeAll = () => {
  for (const folder of markedFolders(run)) removeMarkedFolder(folder);
};

test("a marked folder belongs to its user alone, and is found and removed", () => {
  const folder = makeFolder();
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(markedFolders(run)).toEqual([folder]);
  removeMarkedFolder(folder);

  expect(readdirSync(run)).toEqual([]);
});

test("a folder that does not exist has no marked folders", () => {
  expect(markedFolders(join(base, "none"))).toEqual([]);
});

describe("a folder is not removed", () => {
  const cases: [what: string, plant: () => string][] = [
    ["if it is named by a uuid but has no mark", () => makeUserFolder(`run/${crypto.randomUUID()}`)],
    [
      "if it is not named by a uuid",
      () => {
        const folder = makeUserFolder("run/Documents");
        writeFileSync(join(folder, ".synthesis"), "Documents");
        return folder;
      },
    ],
    [
      "if it has the mark of another folder",
      () => {
        const folder = makeUserFolder(`run/${crypto.randomUUID()}`);
        writeFileSync(join(folder, ".synthesis"), crypto.randomUUID());
        return folder;
      },
    ],
    [
      "if its mark is a link",
      () => {
        const folder = makeUserFolder(`run/${crypto.randomUUID()}`);
        writeFileSync(join(base, "mark"), basename(folder));
        symlinkSync(join(base, "mark"), join(folder, ".synthesis"));
        return folder;
      },
    ],
    [
      "if a link with such a name leads to it",
      () => {
        const folder = makeUserFolder("elsewhere");
        const link = join(run, crypto.randomUUID());
        writeFileSync(join(folder, ".synthesis"), basename(link));
        symlinkSync(folder, link);
        return folder;
      },
    ],
    [
      "if its parent has become a link",
      () => {
        const folder = makeFolder();
        writeFileSync(join(folder, "precious"), "");
        renameSync(run, join(base, "elsewhere"));
        symlinkSync(join(base, "elsewhere"), run);
        return join(base, "elsewhere", basename(folder));
      },
    ],
  ];
  test.each(cases)("%s", (_what, plant) => {
    const folder = plant();
    removeAll();

    expect(existsSync(join(folder, "precious"))).toBe(true);
  });
});

test("a link inside a marked folder is removed, and its target stays", () => {
  const target = makeUserFolder("elsewhere");
  symlinkSync(target, join(makeFolder(), "latest"));
  removeAll();

  expect([readdirSync(run), readdirSync(target)]).toEqual([[], ["precious"]]);
});

test("attachments are removed only from marked folders", () => {
  const attachments = createAttachmentStore(join(base, "attachments"));
  const [own, planted] = [crypto.randomUUID(), crypto.randomUUID()];
  const path = attachments.saveFile(own, "image", "png");
  expect(readFileSync(path, "utf8")).toBe("image");
  const target = makeUserFolder("elsewhere");
  symlinkSync(target, join(base, "attachments", planted));
  expect(attachments.unusedSince(Date.now() + 1_000)).toEqual([own]);
  for (const session of [own, planted, "../elsewhere"]) attachments.remove(session);

  expect([existsSync(path), readdirSync(target)]).toEqual([false, ["precious"]]);
});
