/** What a server prints about Claude Code when it starts. */
import { expect, test } from "bun:test";
import { createFixture } from "../doctor/fixture.ts";
import { REAL_CLAUDE, startServer } from "../support/server.ts";

test.each<[what: string, bin: string, loggedIn: boolean, line: RegExp]>([
  [
    "the program and its version when it is ready",
    REAL_CLAUDE,
    true,
    /^Claude Code: \S+claude, 2\.1\.330, ready to start$/,
  ],
  [
    "that a user must log in",
    REAL_CLAUDE,
    false,
    /^Claude Code: \S+claude, 2\.1\.330, NOT READY: login: not logged in\. Run .* \/login\. `synthesis doctor` checks/,
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
