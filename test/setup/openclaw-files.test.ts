/** Reading OpenClaw's configuration files, which may include others, and backing them up. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { backUp, readConfigFiles } from "../../src/setup/openclaw-files.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "synthesis-test-"));
  mkdirSync(join(folder, "more"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};

test("merges included files, and the including file wins", () => {
  const file = write("main.json", '{ "$include": ["./a.json", "more/b.json"], "x": { "own": 1 } }');
  const a = write("a.json", '{ "x": { "own": 0, "a": 1 }, "list": [1, 2] }');
  const b = write("more/b.json", '{ "$include": "c.json", "list": [3] }');
  const c = write("more/c.json", '{ "c": true }');
  expect(readConfigFiles(file)).toEqual({
    merged: { x: { own: 1, a: 1 }, list: [3], c: true },
    files: [file, a, b, c],
    isPlainJson: true,
  });
});

test("notices comments, also in an included file", () => {
  const file = write("main.json", '{ "a": { "$include": "./a.json" } }');
  write("a.json", "{ // a comment\n b: 1 }");
  expect(readConfigFiles(file)).toMatchObject({ merged: { a: { b: 1 } }, isPlainJson: false });
});

test("fails when a file includes itself", () => {
  const file = write("main.json", '{ "$include": "./main.json" }');
  expect(() => readConfigFiles(file)).toThrow("too deep");
});

test("backs a file up in a copy that only its owner can read", () => {
  const copy = backUp(write("main.json", "{}"), Date.UTC(2026, 0, 2, 3, 4, 5));
  expect(copy).toEndWith("main.json.before-synthesis-2026-01-02T03-04-05-000Z");
  expect([readFileSync(copy, "utf8"), statSync(copy).mode & 0o777]).toEqual(["{}", 0o600]);
});
