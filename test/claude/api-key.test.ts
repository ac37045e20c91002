import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isApproved } from "../../src/claude/api-key.ts";

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
