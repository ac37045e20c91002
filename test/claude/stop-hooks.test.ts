import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { mayBlockStop } from "../../src/claude/stop-hooks.ts";

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "synthesis-test-"));
});
afterEach(() => rmSync(base, { recursive: true }));

const stop = { hooks: { Stop: [{ hooks: [{ type: "command", command: "true" }] }] } };
const cases: [what: string, files: Record<string, unknown>, counted: number | null, expected: boolean][] = [
  ["no without settings", {}, null, false],
  ["yes with a hook of the user", { "home/.claude/settings.json": stop }, null, true],
  ["yes with a hook of the project", { "project/.claude/settings.json": stop }, 1, true],
  ["yes with a hook in the project's local settings", { "project/.claude/settings.local.json": stop }, null, true],
  ["yes with a hook in a folder above the workspace", { ".claude/settings.json": stop }, null, true],
  ["yes with a hook of the administrator", { "managed/managed-settings.json": stop }, null, true],
  ["yes with a hook of the administrator in a drop-in file", { "managed/managed-settings.d/a.json": stop }, null, true],
  ["no with hooks for other events", { "home/.claude/settings.json": { hooks: { PreToolUse: [{}] } } }, null, false],
  ["no with an empty list of hooks", { "home/.claude/settings.json": { hooks: { Stop: [] } } }, null, false],
  [
    "yes with a plugin, before the first turn has ended",
    { "home/.claude/settings.json": { enabledPlugins: { "a@b": true } } },
    null,
    true,
  ],
  [
    "no with a plugin, once a turn has shown that it has no hook",
    { "home/.claude/settings.json": { enabledPlugins: { "a@b": true } } },
    1,
    false,
  ],
  ["no with a disabled plugin", { "home/.claude/settings.json": { enabledPlugins: { "a@b": false } } }, null, false],
  ["yes if another hook ran at the end of the last turn", {}, 2, true],
  ["no with a settings file that is not an object", { "home/.claude/settings.json": "?" }, null, false],
];
test.each(cases)("a Stop hook may keep Claude working: %s", (_what, files, counted, expected) => {
  const workspace = join(base, "project/workspace");
  mkdirSync(workspace, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(base, name)), { recursive: true });
    writeFileSync(join(base, name), JSON.stringify(content));
  }
  expect(mayBlockStop(workspace, counted, { HOME: join(base, "home") }, join(base, "managed"))).toBe(expected);
});
