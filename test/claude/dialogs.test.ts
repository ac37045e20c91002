/** Which key brings each of claude's dialogs nearer to the answer we want. */
import { describe, expect, test } from "bun:test";
import { advise, type Consent, saysNotLoggedIn } from "../../src/claude/dialogs.ts";

const trust = (cursor: "no" | "yes") => `
 Accessing workspace:

 /home/someone/project

 Quick safety check: Is this a project you created or one you trust? (Like your own code, a well-known open source
 project, or work from your team).

 ${cursor === "no" ? "❯" : " "} No, exit
 ${cursor === "yes" ? "❯" : " "} Yes, I trust this folder

 Enter to confirm · Esc to cancel`;
const apiKey = (cursor: "no" | "yes") => `
  Detected a custom API key in your environment

  Do you want to use this API key?

  ${cursor === "yes" ? "❯" : " "} Yes
  ${cursor === "no" ? "❯" : " "} No (recommended)`;
const channels = `
  WARNING: Loading development channels

  --dangerously-load-development-channels is for local channel development only.

  ❯ 1. I am using this for local development
    2. Exit`;
const server = `
  New MCP server found in this project: theirs

    Use this MCP server
    Use this and all future MCP servers in this project
  ❯ Continue without using this MCP server`;
const servers = `
  2 new MCP servers found in this project
  Select any you wish to enable.

  ❯ [✔] one
    [✔] two
 Space to select · Esc to reject all`;
const bypass = `
  WARNING: Claude Code running in Bypass Permissions mode

  ❯ 1. No, exit
    2. Yes, I accept`;

const ENTER = "\r";
const UP = "\x1b[A";
const DOWN = "\x1b[B";
const ESCAPE = "\x1b";
const consent: Consent = { trusted: true, useApiKey: false, restrictingFiles: [] };

describe("the next key", () => {
  const cases: [what: string, screen: string, consent: Consent, key: string][] = [
    ["moves to the folder's trust", trust("no"), consent, DOWN],
    ["confirms it only there", trust("yes"), consent, ENTER],
    ["refuses an API key", apiKey("no"), consent, ENTER],
    ["moves back to refuse it", apiKey("yes"), consent, DOWN],
    ["moves to the API key if it may be used", apiKey("no"), { ...consent, useApiKey: true }, UP],
    ["uses it only there", apiKey("yes"), { ...consent, useApiKey: true }, ENTER],
    ["takes the development channel", channels, consent, ENTER],
    ["goes on without a project's server", server, consent, ENTER],
    ["rejects a project's servers", servers, consent, ESCAPE],
    ["moves to accept the mode that was asked for", bypass, consent, DOWN],
    ["waits while the options are not painted yet", channels.split("❯")[0] ?? "", consent, ""],
  ];
  test.each(cases)("%s", (_what, screen, given, key) => {
    expect(advise(screen, given)).toMatchObject({ key });
  });
});

describe("is not pressed", () => {
  const cases: [what: string, screen: string, advice: unknown][] = [
    [
      "for a folder that only a client named",
      trust("no"),
      { refuse: expect.stringContaining("does not trust this workspace") },
    ],
    [
      "on a claude that was never set up",
      " Let's get started.\n ❯ 1. Dark mode",
      { refuse: expect.stringContaining("Run `claude` once") },
    ],
    ["on the prompt", "❯ \n  ⏸ manual mode on · ? for shortcuts", null],
    ["on an empty screen", "", null],
  ];
  test.each(cases)("%s", (_what, screen, advice) => {
    const given = { ...consent, trusted: false };
    if (advice === null) expect(advise(screen, given)).toBeNull();
    else expect(advise(screen, given)).toMatchObject(advice as object);
  });
});

describe("what was said in the conversation is not a dialog", () => {
  const rule = "─".repeat(120);
  const said = [
    trust("no"),
    apiKey("no"),
    channels,
    server,
    servers,
    bypass,
    " Let's get started.\n ❯ x",
    "Not logged in · run /login",
  ];
  const screen = `${said.join("\n")}\n${rule}\n❯ \n${rule}\n  ⏸ manual mode on · ? for shortcuts`;
  test("no key is pressed", () => {
    expect(advise(screen, consent)).toBeNull();
    expect(saysNotLoggedIn(screen)).toBe(false);
  });
  test("the footer below the input counts", () => {
    expect(saysNotLoggedIn(`${screen}       Not logged in · run /login`)).toBe(true);
  });
});
