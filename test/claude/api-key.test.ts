import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isApproved, withheldKey } from "../../src/claude/api-key.ts";

const KEY = "sk-ant-api03-abcdefghijklmnopqrstuvwxyz";

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "synthesis-test-"));
});
afterEach(() => rmSync(home, { recursive: true }));

const write = (content: unknown) => writeFileSync(join(home, ".claude.json"), JSON.stringify(content));

test("a key is approved if the user has approved its last 20 characters", () => {
  write({ customApiKeyResponses: { approved: [KEY.slice(-20)], rejected: [] } });

  expect(isApproved(KEY, { HOME: home })).toBe(true);
  expect(isApproved(`${KEY}x`, { HOME: home })).toBe(false);
});

test("a key is not approved without an answer, or with an unreadable one", () => {
  expect(isApproved(KEY, { HOME: home })).toBe(false);
  write({});
  expect(isApproved(KEY, { HOME: home })).toBe(false);
  writeFileSync(join(home, ".claude.json"), "{ half");
  expect(isApproved(KEY, { HOME: home })).toBe(false);
});

const OTHER = "sk-ant-api03-zyxwvutsrqponmlkjihgfedcba";

test.each([
  ["an approved key", KEY, null, null, false],
  ["no key", undefined, null, null, false],
  ["an unapproved key in the environment", OTHER, null, null, true],
  ["an unapproved key in the user's settings", undefined, OTHER, null, true],
  ["an unapproved key in the workspace's settings, in place of an approved one", KEY, null, OTHER, true],
  ["an approved key in the workspace's settings, in place of another one", OTHER, OTHER, KEY, false],
  ["an empty key in the workspace's settings, in place of another one", OTHER, null, "", false],
] as const)("without a terminal, Claude Code with %s", (_, inEnvironment, ofUser, ofWorkspace, isWithheld) => {
  write({ customApiKeyResponses: { approved: [KEY.slice(-20)] } });
  const workspace = join(home, "workspace");
  for (const [folder, key] of [
    [home, ofUser],
    [workspace, ofWorkspace],
  ] as const) {
    mkdirSync(join(folder, ".claude"), { recursive: true });
    const settings = key === null ? {} : { env: { ANTHROPIC_API_KEY: key } };
    writeFileSync(join(folder, ".claude/settings.json"), JSON.stringify(settings));
  }
  const env = { HOME: home, ANTHROPIC_API_KEY: inEnvironment };

  expect(withheldKey(workspace, env, false)).toEqual(isWithheld ? { ANTHROPIC_API_KEY: "" } : {});
  expect(withheldKey(workspace, env, true)).toEqual({});
});
