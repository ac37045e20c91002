/** Whether the machine's administrator lets our channel in. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readManagedSettings } from "../../src/claude/managed-settings.ts";

let base: string;
beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), "synthesis-test-"));
});
afterAll(() => rmSync(base, { recursive: true }));

const ours = { marketplace: "inline", plugin: "synthesis" };
const cases: [what: string, files: Record<string, unknown>, allowed: boolean][] = [
  ["nothing is managed", {}, false],
  ["it lists us", { "managed-settings.json": { channelsEnabled: true, allowedChannelPlugins: [ours] } }, true],
  [
    "it lists others",
    { "managed-settings.json": { channelsEnabled: true, allowedChannelPlugins: [{ ...ours, plugin: "x" }] } },
    false,
  ],
  ["channels are off", { "managed-settings.json": { allowedChannelPlugins: [ours] } }, false],
  [
    "drop-ins are merged",
    {
      "managed-settings.json": { allowedChannelPlugins: [ours] },
      "managed-settings.d/10.json": { channelsEnabled: true },
    },
    true,
  ],
  [
    "a later drop-in switches channels off",
    {
      "managed-settings.d/10.json": { channelsEnabled: true, allowedChannelPlugins: [ours] },
      "managed-settings.d/20.json": { channelsEnabled: false },
    },
    false,
  ],
  ["hooks are the administrator's only", { "managed-settings.json": { allowManagedHooksOnly: true } }, false],
  ["a file is broken", { "managed-settings.json": "{" }, false],
];
test.each(cases)("%s", (what, files, allowed) => {
  const folder = join(base, what);
  mkdirSync(join(folder, "managed-settings.d"), { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  const managed = readManagedSettings("synthesis", folder);
  expect(managed).toMatchObject({
    channelAllowed: allowed,
    hooksForbidden: what === "hooks are the administrator's only",
  });
});
