/** Watching files for changes. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { watchChanges } from "../../src/core/watch-file.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "synthesis-test-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

test("reports a change of a file, and repeats the report a little later", async () => {
  const file = join(folder, "file");
  writeFileSync(file, "");
  const reported = Promise.withResolvers<void>();
  let calls = 0;
  const watch = watchChanges(file, () => {
    calls += 1;
    if (calls === 2) reported.resolve();
  });
  appendFileSync(file, "x");
  await reported.promise;
  watch.close();
});

test("names the changed file in a folder", async () => {
  const names = new Set<string | null>();
  const reported = Promise.withResolvers<void>();
  const watch = watchChanges(folder, (name) => {
    names.add(name);
    reported.resolve();
  });
  writeFileSync(join(folder, "new"), "");
  await reported.promise;
  watch.close();
  expect([...names]).toEqual(["new"]);
});

test("polls what cannot be watched", async () => {
  const reported = Promise.withResolvers<string | null>();
  const watch = watchChanges(join(folder, "absent"), reported.resolve);
  expect(await reported.promise).toBeNull();
  watch.close();
});

test("reports nothing after it is closed", async () => {
  const file = join(folder, "file");
  writeFileSync(file, "");
  let calls = 0;
  watchChanges(file, () => {
    calls += 1;
  }).close();
  appendFileSync(file, "x");
  await Bun.sleep(100);
  expect(calls).toBe(0);
});
