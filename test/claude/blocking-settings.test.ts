import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { findBlockingSettings } from "../../src/claude/blocking-settings.ts";

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "synthesis-test-"));
});
afterEach(() => rmSync(base, { recursive: true }));

/** The blocking settings in one settings file of the workspace. */
function findIn(content: object, file = "workspace/.claude/settings.json") {
  const path = join(base, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, JSON.stringify(content));
  return findBlockingSettings(join(base, "workspace"), { HOME: join(base, "home") });
}

describe("a setting blocks", () => {
  const cases: [what: string, settings: object, blocks: string, key: string][] = [
    [
      "the plugin, by name",
      { deniedMcpServers: [{ serverName: "plugin:synthesis:chat" }] },
      "plugin",
      "deniedMcpServers",
    ],
    [
      "the plugin, by command",
      { deniedMcpServers: [{ serverCommand: ["/usr/bin/env", "synthesis", "channel"] }] },
      "plugin",
      "deniedMcpServers",
    ],
    ["the plugin, by a list of allowed servers", { allowedMcpServers: [] }, "plugin", "allowedMcpServers"],
    ["the channel", { env: { DISABLE_TELEMETRY: "1" } }, "channel", "env.DISABLE_TELEMETRY"],
    [
      "the channel, by another provider",
      { env: { CLAUDE_CODE_USE_BEDROCK: "1" } },
      "channel",
      "env.CLAUDE_CODE_USE_BEDROCK",
    ],
    [
      "all tools of the plugin",
      { permissions: { deny: ["mcp__plugin_synthesis_chat"] } },
      "tools",
      "permissions.deny: mcp__plugin_synthesis_chat",
    ],
    ["tools by a pattern", { permissions: { deny: ["mcp__*"] } }, "tools", "permissions.deny: mcp__*"],
  ];
  test.each(cases)("%s", (_what, settings, blocks, key) => {
    const file = join(base, "workspace/.claude/settings.json");

    expect(findIn(settings)).toEqual([{ file, key, blocks }] as never);
  });

  test("the plugin that a person has disabled for the workspace", () => {
    const projects = { [join(base, "workspace")]: { disabledMcpServers: ["plugin:synthesis:chat"] } };

    expect(findIn({ projects }, "home/.claude.json")).toMatchObject([{ blocks: "plugin" }]);
  });
});

describe("a setting does not block", () => {
  test.each<[what: string, settings: object]>([
    ["if it denies another server", { deniedMcpServers: [{ serverName: "other" }] }],
    ["if its variable is empty", { env: { DISABLE_TELEMETRY: "" } }],
    ["if it denies tools of another server", { permissions: { deny: ["mcp__other__*", "Bash(rm *)"] } }],
    ["if it does not have the expected type", { deniedMcpServers: "all", permissions: { deny: "mcp__*" } }],
  ])("%s", (_what, settings) => {
    expect(findIn(settings)).toEqual([]);
  });
});
