/** What a server prints about Claude Code when it starts. */
import { expect, test } from "bun:test";
import { TESTED_VERSIONS } from "../../src/claude/tested-versions.ts";
import { createFixture } from "../doctor/fixture.ts";
import { REAL_CLAUDE, startServer } from "../support/server.ts";

const PINNED = RegExp.escape(TESTED_VERSIONS.newest);

test.each<[what: string, bin: string, loggedIn: boolean, line: RegExp]>([
  [
    "the program and its version when it is ready",
    REAL_CLAUDE,
    true,
    new RegExp(String.raw`^Claude Code: \S+claude, ${PINNED}, ready to start$`),
  ],
  [
    "that a user must log in",
    REAL_CLAUDE,
    false,
    new RegExp(
      `^Claude Code: \\S+claude, ${PINNED}, NOT READY: login: not logged in\\. Run .* /login\\. .synthesis doctor`,
    ),
  ],
  ["that the program is not Claude Code", "git", true, /^Claude Code: NOT READY: claude: \S+git is not Claude Code/],
  [
    "that there is no such program",
    "/nowhere/claude",
    true,
    /^Claude Code: NOT READY: claude: \/nowhere\/claude .*\. Install .* SYNTHESIS_CLAUDE_BIN/,
  ],
])("says %s", async (_what, bin, loggedIn, line) => {
  using fixture = createFixture({ loggedIn, env: { SYNTHESIS_CLAUDE_BIN: bin } });
  const server = await startServer(fixture.env);
  const printed = await server.printed(/^Claude Code: /);
  await server.stop();
  expect(printed).toMatch(line);
});

test("logs the version of Claude Code and the tested range", async () => {
  using fixture = createFixture({});
  const server = await startServer(fixture.env);
  const logged = JSON.parse(await server.logged(/tested are/)) as { level: string; properties: object };
  await server.stop();
  expect(logged).toMatchObject({
    level: "DEBUG",
    properties: { path: REAL_CLAUDE, version: TESTED_VERSIONS.newest, ...TESTED_VERSIONS },
  });
});
