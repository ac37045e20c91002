/** The files that are written for Claude to read. */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAttachmentStore } from "../../src/conversation/attachment-store.ts";

const base = mkdtempSync(join(tmpdir(), "synthesis-attachments-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

const store = createAttachmentStore(join(base, "images"));

test("writes each file under a name of its own, readable only by this user", () => {
  const session = crypto.randomUUID();
  const paths = ["one", "two"].map((content) => store.saveFile(session, content, "txt"));
  expect(paths.map((path) => readFileSync(path, "utf8"))).toEqual(["one", "two"]);
  for (const path of paths) {
    expect(path).toMatch(/\.txt$/);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  }
});

test("removes the files of one Claude session", () => {
  const [one, two] = [crypto.randomUUID(), crypto.randomUUID()];
  const [removed, kept] = [store.saveFile(one, "x", "png"), store.saveFile(two, "x", "png")];
  store.remove(one);
  expect([existsSync(removed), existsSync(kept)]).toEqual([false, true]);
  store.remove(one);
});

test("lists the Claude sessions without a new file since a time", () => {
  const session = crypto.randomUUID();
  store.saveFile(session, "x", "png");
  expect(store.unusedSince(Date.now() + 1_000)).toContain(session);
  expect(store.unusedSince(Date.now() - 60_000)).not.toContain(session);
});
