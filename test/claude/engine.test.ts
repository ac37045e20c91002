/** Which engine is chosen, and why: every way in which Claude Code refuses channels, and every way in which a key pays. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { chooseEngine, type EngineFacts } from "../../src/claude/engine.ts";

const base = mkdtempSync(join(tmpdir(), "synthesis-engine-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

const KEY = "sk-ant-test-0000000000000000000000000000000000";
const login = { loggedIn: true, authMethod: "claude.ai", apiProvider: "firstParty", analyticsDisabled: false };
const nothing: EngineFacts = {
  managed: { channelAllowed: false, channelsDisabled: false, hooksForbidden: false, pluginForbidden: false },
  env: {},
  useApiKey: false,
  auth: login,
  refusal: null,
};

interface Case extends Partial<EngineFacts> {
  /** Files by their path below a folder that has `home` and `workspace`. */
  readonly files?: Record<string, object>;
}

/** The choice of `auto` in a folder of its own. */
function chosen({ files = {}, env = {}, ...facts }: Case) {
  const folder = mkdtempSync(join(base, "case-"));
  for (const [path, content] of Object.entries(files)) {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify(content));
  }
  const all = { ...nothing, ...facts, env: { HOME: join(folder, "home"), PATH: "/bin", ...env } };
  return chooseEngine("auto", join(folder, "workspace"), all);
}

const USER = "home/.claude/settings.json";
const PROJECT = "workspace/.claude/settings.json";
const LOCAL = "workspace/.claude/settings.local.json";
const approved = { "home/.claude.json": { customApiKeyResponses: { approved: [KEY.slice(-20)] } } };

describe("auto runs Claude Code over stream-json", () => {
  test.each<[when: string, facts: Case, reason: string, named: string]>([
    // Channels are refused.
    ["DISABLE_TELEMETRY is set", { env: { DISABLE_TELEMETRY: "1" } }, "environment", "DISABLE_TELEMETRY"],
    ["DISABLE_TELEMETRY has any value", { env: { DISABLE_TELEMETRY: "0" } }, "environment", "DISABLE_TELEMETRY"],
    ["DO_NOT_TRACK is set", { env: { DO_NOT_TRACK: "1" } }, "environment", "DO_NOT_TRACK"],
    ["DISABLE_GROWTHBOOK is set", { env: { DISABLE_GROWTHBOOK: "true" } }, "environment", "DISABLE_GROWTHBOOK"],
    [
      "feature flags are off",
      { env: { CLAUDE_CODE_DISABLE_FEATURE_FLAGS: "1" } },
      "environment",
      "CLAUDE_CODE_DISABLE_FEATURE_FLAGS",
    ],
    [
      "nonessential traffic is off",
      { env: { CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1" } },
      "environment",
      "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    ],
    ["Bedrock is used", { env: { CLAUDE_CODE_USE_BEDROCK: "1" } }, "environment", "BEDROCK"],
    ["Vertex is used", { env: { CLAUDE_CODE_USE_VERTEX: "1" } }, "environment", "VERTEX"],
    ["Foundry is used", { env: { CLAUDE_CODE_USE_FOUNDRY: "1" } }, "environment", "FOUNDRY"],
    ["Mantle is used", { env: { CLAUDE_CODE_USE_MANTLE: "1" } }, "environment", "MANTLE"],
    ["Claude on AWS is used", { env: { CLAUDE_CODE_USE_ANTHROPIC_AWS: "1" } }, "environment", "ANTHROPIC_AWS"],
    [
      "Claude on Google Cloud is used",
      { env: { CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD: "1" } },
      "environment",
      "GOOGLE_CLOUD",
    ],
    ["plugins are off", { env: { CLAUDE_CODE_SAFE_MODE: "1" } }, "environment", "CLAUDE_CODE_SAFE_MODE"],
    [
      "managed settings do not enable channels",
      { managed: { ...nothing.managed, channelsDisabled: true } },
      "managed_settings",
      "channels",
    ],
    [
      "managed settings forbid our hooks",
      { managed: { ...nothing.managed, hooksForbidden: true } },
      "managed_settings",
      "hooks",
    ],
    [
      "managed settings keep our plugin out",
      { managed: { ...nothing.managed, pluginForbidden: true } },
      "managed_settings",
      "plugin",
    ],
    [
      "the user's settings turn telemetry off",
      { files: { [USER]: { env: { DISABLE_TELEMETRY: "1" } } } },
      "claude_settings",
      USER,
    ],
    [
      "a workspace's settings forbid tracking",
      { files: { [LOCAL]: { env: { DO_NOT_TRACK: 1 } } } },
      "claude_settings",
      LOCAL,
    ],
    [
      "settings select another provider",
      { files: { [PROJECT]: { env: { CLAUDE_CODE_USE_VERTEX: "1" } } } },
      "claude_settings",
      PROJECT,
    ],
    ["settings allow no plugin's server", { files: { [USER]: { allowedMcpServers: [] } } }, "claude_settings", USER],
    ["Claude Code names another provider", { auth: { ...login, apiProvider: "bedrock" } }, "claude_status", "bedrock"],
    ["Claude Code has no analytics", { auth: { ...login, analyticsDisabled: true } }, "claude_status", "analytics"],
    ["Claude Code has refused its channel", { refusal: "it said no" }, "channel_refused", "it said no"],
    // An API key pays.
    ["a token for a gateway is set", { env: { ANTHROPIC_AUTH_TOKEN: "t" } }, "api_key", "ANTHROPIC_AUTH_TOKEN"],
    [
      "settings have a token for a gateway",
      { files: { [USER]: { env: { ANTHROPIC_AUTH_TOKEN: "t" } } } },
      "api_key",
      USER,
    ],
    [
      "the user has approved the key",
      { env: { ANTHROPIC_API_KEY: KEY }, files: approved },
      "api_key",
      "ANTHROPIC_API_KEY",
    ],
    [
      "the configuration approves the key",
      { env: { ANTHROPIC_API_KEY: KEY }, useApiKey: true },
      "api_key",
      "ANTHROPIC_API_KEY",
    ],
    [
      "settings have an approved key",
      { files: { ...approved, [USER]: { env: { ANTHROPIC_API_KEY: KEY } } } },
      "api_key",
      USER,
    ],
    [
      "an approved key is set beside a plan's token",
      { env: { ANTHROPIC_API_KEY: KEY, CLAUDE_CODE_OAUTH_TOKEN: "t" }, files: approved },
      "api_key",
      "ANTHROPIC_API_KEY",
    ],
    [
      "settings name a program that prints the key",
      { files: { [USER]: { apiKeyHelper: "./key" } } },
      "api_key",
      "apiKeyHelper",
    ],
    [
      "Claude Code has stored a key at its login",
      { auth: { ...login, authMethod: "api_key", apiKeySource: "/login managed key" } },
      "api_key",
      "/login managed key",
    ],
  ])("when %s", (_when, facts, reason, named) => {
    const choice = chosen(facts);
    expect(choice).toMatchObject({ engine: "stream", reason });
    expect(choice.why).toContain(named);
  });
});

describe("auto runs Claude Code in a terminal", () => {
  test.each<[when: string, facts: Case]>([
    ["a user is logged in with a plan", {}],
    ["nothing is known about the login yet", { auth: null }],
    ["a plan's token is set", { env: { CLAUDE_CODE_OAUTH_TOKEN: "t" }, auth: { ...login, authMethod: "oauth_token" } }],
    ["the user has not approved the key", { env: { ANTHROPIC_API_KEY: KEY } }],
    ["the key in settings is not approved", { files: { [USER]: { env: { ANTHROPIC_API_KEY: KEY } } } }],
    [
      "settings empty the approved key",
      { env: { ANTHROPIC_API_KEY: KEY }, files: { ...approved, [USER]: { env: { ANTHROPIC_API_KEY: "" } } } },
    ],
    ["a variable is empty", { env: { DISABLE_TELEMETRY: "", ANTHROPIC_AUTH_TOKEN: "", CLAUDE_CODE_SAFE_MODE: "" } }],
    ["a variable says no", { env: { DO_NOT_TRACK: "0", CLAUDE_CODE_USE_BEDROCK: "false" } }],
    ["settings deny only the client's tools", { files: { [USER]: { permissions: { deny: ["mcp__*"] } } } }],
  ])("when %s", (_when, facts) => {
    expect(chosen(facts)).toMatchObject({ engine: "interactive", reason: "default" });
  });
});

test("uses the engine that the setting names, whatever else is there", () => {
  const facts = { ...nothing, env: { DISABLE_TELEMETRY: "1", ANTHROPIC_AUTH_TOKEN: "t" }, refusal: "it said no" };
  expect(chooseEngine("interactive", base, facts)).toMatchObject({ engine: "interactive", reason: "setting" });
  expect(chooseEngine("stream", base, nothing)).toMatchObject({ engine: "stream", reason: "setting" });
});
