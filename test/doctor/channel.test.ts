/** Whether Claude Code accepts our channel: what its environment, its provider and its feature flags say. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { createEngines } from "../../src/claude/engines.ts";
import type { AuthStatus } from "../../src/claude/executable.ts";
import { channelCheck } from "../../src/doctor/channel.ts";
import { createFixture, type Fixture } from "./fixture.ts";

let fixture: Fixture;
beforeEach(() => {
  fixture = createFixture();
});
afterEach(() => fixture[Symbol.dispose]());

const check = (
  auth: Partial<AuthStatus> = {},
  env: Record<string, string> = {},
  engine: "auto" | "interactive" | "stream" = "interactive",
) => {
  const wholeEnv = { ...fixture.env, ...env };
  const config = fixture.config({ engine });
  const managed = { channelAllowed: false, channelsDisabled: false, hooksForbidden: false, pluginForbidden: false };
  const engines = createEngines({ config, paths: fixture.paths, managed, env: wholeEnv });
  return channelCheck(engines.configured(), { loggedIn: true, ...auth }, wholeEnv, "claude");
};

test.each(["auto", "stream"] as const)("accepts a refused channel where the engine %s does without it", (engine) => {
  expect(check({}, { DISABLE_TELEMETRY: "1" }, engine)).toMatchObject({ id: "channel.ok" });
});

test("accepts a Claude Code that has fetched the feature flag", () => {
  expect(check()).toMatchObject({ id: "channel.ok" });
});

test("warns of a Claude Code that has never been online", () => {
  fixture.write("home/.claude.json", "{}");
  expect(check()).toMatchObject({
    id: "channel.feature_not_fetched",
    result: "warning",
    advice: expect.stringContaining("--live"),
  });
});

test.each(["DISABLE_TELEMETRY", "CLAUDE_CODE_USE_BEDROCK"])("rejects %s in the environment", (variable) => {
  expect(check({}, { [variable]: "1" })).toMatchObject({
    id: "channel.environment",
    result: "failed",
    found: expect.stringContaining(variable),
  });
});

test("rejects another provider than Anthropic", () => {
  expect(check({ apiProvider: "vertex" })).toMatchObject({
    id: "channel.provider",
    result: "failed",
    found: expect.stringContaining("vertex"),
  });
});

test("rejects settings that disable analytics, and channels with it", () => {
  expect(check({ analyticsDisabled: true })).toMatchObject({ id: "channel.claude_settings", result: "failed" });
});
