import { expect, test } from "bun:test";
import { devDependencies } from "../../package.json";
import { claudeVersion } from "../../src/claude/executable.ts";
import { compareWithTested, TESTED_VERSIONS } from "../../src/claude/tested-versions.ts";
import { REAL_CLAUDE } from "../support/server.ts";

const { oldest, newest } = TESTED_VERSIONS;

test("the newest tested version is the pinned one, which the tests run", async () => {
  expect(devDependencies["@anthropic-ai/claude-code"]).toBe(newest);
  expect(await claudeVersion(REAL_CLAUDE, { PATH: "/usr/bin:/bin" })).toBe(newest);
});

test.each([
  ["2.1.99", "older"],
  ["1.9.999", "older"],
  [oldest, "tested"],
  [newest, "tested"],
  ["2.1.1000", "newer"],
  ["2.2.0", "newer"],
  ["10.0.0", "newer"],
] as const)("version %s is %s", (version, standing) => {
  expect(compareWithTested(version)).toBe(standing);
});
