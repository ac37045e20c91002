/** The allowed roots in our own configuration file. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readAllowedRoots, writeAllowedRoots } from "../../src/setup/allowed-roots.ts";

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "synthesis-test-"));
  file = join(folder, "config.json");
});
afterEach(() => rmSync(folder, { recursive: true }));

test("a file that does not exist has none, and is created for its owner only", () => {
  expect(readAllowedRoots(file)).toBeNull();
  writeAllowedRoots(file, ["/a"]);
  expect(readAllowedRoots(file)).toEqual(["/a"]);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test("writing them keeps comments and other settings", () => {
  writeFileSync(file, '{\n  // mine\n  "effort": "low",\n}\n');
  writeAllowedRoots(file, ["/a", "/b"]);
  expect(readAllowedRoots(file)).toEqual(["/a", "/b"]);
  expect(readFileSync(file, "utf8")).toMatch(/\/\/ mine\s+"effort": "low"/);
});

test("null removes the setting", () => {
  writeFileSync(file, '{ "allowedRoots": ["/a"], "effort": "low" }');
  writeAllowedRoots(file, null);
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ effort: "low" });
});
