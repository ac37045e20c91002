import { expect, test } from "bun:test";
import { inheritedEnvironment, retries, setsRetries } from "../../src/claude/environment.ts";

test("a process inherits neither synthesis's variables nor those of a parent Claude Code", () => {
  const env = {
    LANG: "C",
    SYNTHESIS_API_KEY: "secret",
    CLAUDECODE: "1",
    CLAUDE_CODE_SESSION_ID: "s",
    EMPTY: undefined,
  };

  expect(inheritedEnvironment(env)).toEqual({ LANG: "C" });
});

test("a process inherits PATH without its relative entries", () => {
  expect(inheritedEnvironment({ PATH: "/usr/bin::bin:./x:/bin" })).toEqual({ PATH: "/usr/bin:/bin" });
});

test("the user's number of retries is kept", () => {
  expect([setsRetries({}), retries({})]).toEqual([false, { CLAUDE_CODE_MAX_RETRIES: "3" }]);
  const env = { CLAUDE_CODE_MAX_RETRIES: "7" };
  expect([setsRetries(env), retries(env)]).toEqual([true, env]);
});
