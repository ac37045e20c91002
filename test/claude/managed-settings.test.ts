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
  ["not without managed settings", {}, false],
  ["if it is in the list", { "managed-settings.json": { channelsEnabled: true, allowedChannelPlugins: [ours] } }, true],
  [
    "not if only others are in the list",
    { "managed-settings.json": { channelsEnabled: true, allowedChannelPlugins: [{ ...ours, plugin: "x" }] } },
    false,
  ],
  ["not while channels are not enabled", { "managed-settings.json": { allowedChannelPlugins: [ours] } }, false],
  [
    "if a drop-in file enables channels",
    {
      "managed-settings.json": { allowedChannelPlugins: [ours] },
      "managed-settings.d/10.json": { channelsEnabled: true },
    },
    true,
  ],
  [
    "not if a later drop-in file disables channels",
    {
      "managed-settings.d/10.json": { channelsEnabled: true, allowedChannelPlugins: [ours] },
      "managed-settings.d/20.json": { channelsEnabled: false },
    },
    false,
  ],
  ["not if only managed hooks are allowed", { "managed-settings.json": { allowManagedHooksOnly: true } }, false],
  ["not if the file is not valid JSON", { "managed-settings.json": "{" }, false],
];
test.each(cases)("the channel is allowed: %s", (what, files, allowed) => {
  const folder = join(base, what);
  mkdirSync(join(folder, "managed-settings.d"), { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  const managed = readManagedSettings("synthesis", folder);
  expect(managed).toMatchObject({
    channelAllowed: allowed,
    hooksForbidden: what === "not if only managed hooks are allowed",
  });
});

test.each([
  ["hooks are off", { disableAllHooks: true }, { hooksForbidden: true, pluginForbidden: false }],
  ["only listed servers are allowed", { allowedMcpServers: [] }, { hooksForbidden: false, pluginForbidden: true }],
  ["a list of servers is none", { allowedMcpServers: "all" }, { hooksForbidden: false, pluginForbidden: false }],
])("notices that %s", (what, settings, found) => {
  const folder = join(base, what);
  mkdirSync(folder);
  writeFileSync(join(folder, "managed-settings.json"), JSON.stringify({ channelsEnabled: true, ...settings }));
  expect(readManagedSettings("synthesis", folder)).toMatchObject(found);
});
