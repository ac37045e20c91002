import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { denyRules } from "../../src/claude/deny-rules.ts";
import { pathsFor } from "../../src/config/paths.ts";

let base: string;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "synthesis-test-")));
});
afterEach(() => rmSync(base, { recursive: true }));

const rulesIn = (home: string) => denyRules(pathsFor(home));

test("Claude may neither read nor edit the server's own files", () => {
  const {
    chatKey,
    controlKey,
    metricsKey,
    serviceEnvironment,
    configFile,
    run,
    database,
    channelRecord,
    notificationRecord,
  } = pathsFor("/home/me/state");
  const rules = rulesIn("/home/me/state");

  for (const path of [
    chatKey,
    controlKey,
    metricsKey,
    serviceEnvironment,
    configFile,
    `${run}/**`,
    `${database}*`,
    channelRecord,
    notificationRecord,
  ]) {
    expect(rules).toContain(`Read(/${path})`);
    expect(rules).toContain(`Edit(/${path})`);
  }
});

test("attachments stay readable", () => {
  const { attachments } = pathsFor("/home/me/state");

  expect(rulesIn("/home/me/state").filter((rule) => rule.includes(attachments))).toEqual([]);
});

test("the rules name the real path of a linked state folder, too", () => {
  mkdirSync(join(base, "real"));
  symlinkSync(join(base, "real"), join(base, "link"));
  const { chatKey } = pathsFor(join(base, "real"));

  expect(rulesIn(join(base, "link"))).toContain(`Read(/${chatKey})`);
});

test("special characters of a path are not patterns", () => {
  expect(rulesIn("/home/me/[a]*").every((rule) => rule.includes("/home/me/\\[a\\]\\*/"))).toBe(true);
});
