/** The Claude Code program, its version and its login. */
import { describe, expect, test } from "bun:test";
import { TESTED_VERSIONS } from "../../src/claude/tested-versions.ts";
import type { Check } from "../../src/doctor/check.ts";
import { claudeChecks } from "../../src/doctor/claude.ts";
import type { HomeOptions } from "../support/claude-home.ts";
import { createFixture } from "./fixture.ts";

interface Setup extends Omit<HomeOptions, "api"> {
  readonly env?: Record<string, string>;
  /** What `claudeBin` is: a file below the fixture's folder is written with this content. */
  readonly program?: { readonly content: string; readonly mode: number };
}

async function check({ program, ...options }: Setup): Promise<Check[]> {
  using fixture = createFixture(options);
  const claudeBin = program && fixture.write("claude", program.content, program.mode);
  const config = fixture.config(claudeBin ? { claudeBin } : {});
  return await claudeChecks(config, fixture.env, fixture.engines(config));
}

test("accepts a Claude Code of the tested version with a user who is logged in", async () => {
  expect((await check({})).map(({ id }) => id)).toEqual([
    "claude.ok",
    "login.ok",
    "engine.ok",
    "channel.ok",
    "hooks.ok",
    "claude_settings.ok",
    "permission_mode.ok",
  ]);
});

describe("the program", () => {
  test.each<[what: string, setup: Setup, id: string, advice: RegExp]>([
    ["that does not exist", { env: { SYNTHESIS_CLAUDE_BIN: "/nowhere/claude" } }, "claude.not_found", /npm install -g/],
    ["that is not on PATH", { env: { SYNTHESIS_CLAUDE_BIN: "claude-x" } }, "claude.not_found", /npm install -g/],
    ["that is another one", { env: { SYNTHESIS_CLAUDE_BIN: "git" } }, "claude.not_claude_code", /SYNTHESIS_CLAUDE_BIN/],
    ["that is a folder", { env: { SYNTHESIS_CLAUDE_BIN: "/tmp" } }, "claude.is_folder", /SYNTHESIS_CLAUDE_BIN/],
    ["that may not be executed", { program: { content: "", mode: 0o600 } }, "claude.not_executable", /chmod u\+x/],
  ])("%s is rejected", async (_what, setup, id, advice) => {
    expect(await check(setup)).toMatchObject([{ id, result: "failed", advice: expect.stringMatching(advice) }]);
  });

  const versionCheck = async (version: string, env: Record<string, string> = {}) =>
    (await check({ program: { content: `#!/bin/sh\necho '${version} (Claude Code)'\n`, mode: 0o755 }, env }))[0];
  const { oldest, newest } = TESTED_VERSIONS;

  test.each([oldest, newest])("of the tested version %s is accepted, and the range is named", async (version) => {
    expect(await versionCheck(version)).toMatchObject({
      id: "claude.ok",
      found: expect.stringMatching(new RegExp(`, ${version} .*${oldest} to ${newest}`)),
    });
  });

  test("that is older than the tested ones is to be updated", async () => {
    expect(await versionCheck("2.1.99")).toMatchObject({
      id: "claude.untested_version",
      result: "warning",
      found: expect.stringMatching(new RegExp(`2\\.1\\.99.* older .*${oldest} to ${newest}`)),
      advice: expect.stringMatching(/claude update/),
    });
  });

  test("that is newer than the tested ones may work, and the advice names the ways out", async () => {
    expect(await versionCheck("2.1.1000")).toMatchObject({
      id: "claude.untested_version",
      result: "warning",
      found: expect.stringMatching(new RegExp(`2\\.1\\.1000.* newer .*${oldest} to ${newest}`)),
      advice: expect.stringMatching(new RegExp(`--live.*SYNTHESIS_ENGINE=stream.*claude-code@${newest}`)),
    });
  });

  test("that is newer and needs no channels is not advised to do without them", async () => {
    const found = await versionCheck("3.0.0", { SYNTHESIS_ENGINE: "stream" });
    expect(found).toMatchObject({ id: "claude.untested_version" });
    expect(found?.advice).not.toContain("SYNTHESIS_ENGINE");
  });
});

describe("the login", () => {
  const loginCheck = async (setup: Setup) => (await check(setup)).find(({ name }) => name === "login");

  test("is missing", async () => {
    expect(await loginCheck({ loggedIn: false })).toMatchObject({ id: "login.missing", result: "failed" });
  });

  test("is missing, and the API key has not been approved", async () => {
    expect(await loginCheck({ keyApproved: false })).toMatchObject({
      id: "login.key_not_approved",
      result: "failed",
      advice: expect.stringContaining("SYNTHESIS_USE_API_KEY=true"),
    });
  });

  test("is an API key that the settings allow without an approval", async () => {
    const env = { SYNTHESIS_USE_API_KEY: "true" };
    expect(await loginCheck({ keyApproved: false, env })).toMatchObject({ id: "login.ok" });
  });

  test("is unknown when Claude Code does not report it", async () => {
    const program = { content: "#!/bin/sh\necho '2.1.332 (Claude Code)'\n", mode: 0o755 };
    expect(await loginCheck({ program })).toMatchObject({ id: "login.unknown", result: "warning" });
  });
});
