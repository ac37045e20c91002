/** Whether another Stop hook may keep claude going, by claude's settings. */
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
  ["no settings", {}, null, false],
  ["the user's", { "home/.claude/settings.json": stop }, null, true],
  ["the project's", { "project/.claude/settings.json": stop }, 1, true],
  ["the project's own for this machine", { "project/.claude/settings.local.json": stop }, null, true],
  ["a folder's above the workspace", { ".claude/settings.json": stop }, null, true],
  ["the administrator's", { "managed/managed-settings.json": stop }, null, true],
  ["the administrator's, in a drop-in", { "managed/managed-settings.d/a.json": stop }, null, true],
  ["other hooks", { "home/.claude/settings.json": { hooks: { PreToolUse: [{}] } } }, null, false],
  ["an empty list", { "home/.claude/settings.json": { hooks: { Stop: [] } } }, null, false],
  ["a plugin, before a turn", { "home/.claude/settings.json": { enabledPlugins: { "a@b": true } } }, null, true],
  ["a plugin that brings none", { "home/.claude/settings.json": { enabledPlugins: { "a@b": true } } }, 1, false],
  ["a plugin that is off", { "home/.claude/settings.json": { enabledPlugins: { "a@b": false } } }, null, false],
  ["another hook that has run", {}, 2, true],
  ["settings that are none", { "home/.claude/settings.json": "?" }, null, false],
];
test.each(cases)("%s", (_what, files, counted, expected) => {
  const workspace = join(base, "project/workspace");
  mkdirSync(workspace, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(base, name)), { recursive: true });
    writeFileSync(join(base, name), JSON.stringify(content));
  }
  expect(mayBlockStop(workspace, counted, { HOME: join(base, "home") }, join(base, "managed"))).toBe(expected);
});
