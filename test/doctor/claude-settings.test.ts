/** Settings of Claude Code that stop it, or that block the plugin of synthesis. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { blockingSettingsChecks, permissionModeCheck, userSettingsCheck } from "../../src/doctor/claude-settings.ts";
import { createFixture, type Fixture } from "./fixture.ts";

let fixture: Fixture;
beforeEach(() => {
  fixture = createFixture();
});
afterEach(() => fixture[Symbol.dispose]());

describe("the user's settings", () => {
  test("need not exist", () => {
    expect(userSettingsCheck(fixture.env)).toMatchObject({ id: "claude_settings.ok" });
  });

  test("must be valid JSON", () => {
    const file = fixture.write("home/.claude/settings.json", "{ no");
    expect(userSettingsCheck(fixture.env)).toMatchObject({
      id: "claude_settings.not_json",
      result: "failed",
      found: expect.stringContaining(file),
    });
  });
});

describe("a workspace's settings", () => {
  const check = () => blockingSettingsChecks(fixture.config(), fixture.env);

  test("may be empty", () => {
    expect(check()).toMatchObject([{ id: "blocking_settings.ok" }]);
  });

  test.each<[what: string, settings: object, id: string, result: string]>([
    [
      "deny our MCP server",
      { deniedMcpServers: [{ serverName: "plugin:synthesis:chat" }] },
      "blocking_settings.plugin",
      "failed",
    ],
    ["allow no MCP server", { allowedMcpServers: [] }, "blocking_settings.plugin", "failed"],
    [
      "disable feature flags",
      { env: { CLAUDE_CODE_DISABLE_FEATURE_FLAGS: "1" } },
      "blocking_settings.channel",
      "warning",
    ],
    ["deny the tools of plugins", { permissions: { deny: ["mcp__plugin_*"] } }, "blocking_settings.tools", "warning"],
  ])("are reported when they %s", (_what, settings, id, result) => {
    const file = fixture.write("workspace/.claude/settings.local.json", JSON.stringify(settings));
    expect(check()).toMatchObject([{ id, result, found: expect.stringContaining(file) }]);
  });

  test("are checked in every agent's workspace, and the user's own are reported once", () => {
    const settings = JSON.stringify({ allowedMcpServers: [] });
    const files = ["home/.claude/settings.json", "ops/.claude/settings.json"].map((path) =>
      fixture.write(path, settings),
    );
    const agents = { ops: { workspace: `${fixture.base}/ops` } };
    const checks = blockingSettingsChecks(fixture.config({ agents }), fixture.env);
    expect(checks).toMatchObject(files.map((file) => ({ found: expect.stringContaining(file) })));
  });
});

describe("the permission mode bypassPermissions", () => {
  const config = () => fixture.config({ permissionMode: "bypassPermissions" });

  test.if(process.getuid?.() === 0)("is not available to root", () => {
    expect(permissionModeCheck(config(), {})).toMatchObject({
      id: "permission_mode.refused_to_root",
      result: "failed",
    });
  });

  test("is available in a sandbox", () => {
    expect(permissionModeCheck(config(), { IS_SANDBOX: "1" })).toMatchObject({ id: "permission_mode.ok" });
  });
});
