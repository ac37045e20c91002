import { describe, expect, test } from "bun:test";
import { adviseOnDialog, type Consent, saysNotLoggedIn, showsDialog } from "../../../src/claude/interactive/dialogs.ts";

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

const rule = "─".repeat(120);
/** Options as Claude Code draws them, with the cursor on one of them. */
const options = (lines: string[], cursor: number) =>
  lines.map((line, index) => `  ${index === cursor ? "❯" : " "} ${line}`).join("\n");
const imports = (cursor: number, more = "") => `${rule}
  Allow external CLAUDE.md file imports?

  This project's CLAUDE.md or .claude/rules imports files outside the current working directory. Never allow this for
  third-party repositories.

  External imports:
    /home/me/shared/rules.md
    /home/me/shared/more rules.md
${more}
  Important: Only use Claude Code with files you trust. Accessing untrusted files may pose security risks
  https://code.claude.com/docs/en/security

${options(["No, disable external imports", "Yes, allow external imports"], cursor)}

  Enter to confirm · Esc to cancel`;
const hidden = `    … +6 imports not shown.
    Yes covers those too, plus any this project adds later.
`;
const file = "/home/me/.claude/settings.json";
const settingsError = (cursor: number, path = file) => `${rule}
  Settings Error

  ${path}
  └ Invalid or malformed JSON (line 1, column 3)

  Files with errors are skipped entirely, not just the invalid settings.

${options(["1. Fix with Claude", "2. Exit and fix manually", "3. Continue without these settings"], cursor)}

  Enter to confirm · Esc to cancel`;
const settingsWarning = `${rule}
  Settings Warning

  ${file}
  └ hooks.NoSuch: Unknown hook event "NoSuch" was ignored.

  The values listed above were skipped; the rest of the file is in effect.

${options(["1. Continue", "2. Fix with Claude", "3. Exit and fix manually"], 0)}`;
const configurationError = `${rule}
  Configuration error

  /home/me/.claude.json isn't valid JSON.

  JSON Parse error: Expected '}'

${options(["1. Exit and fix manually", "2. Reset to default configuration"], 0)}`;
const autoMode = `${rule}
  Make auto mode your default permission mode?

  Auto mode lets Claude handle permission prompts automatically.

${options(["Yes, set auto mode as my default permission mode", "No, keep bypass permissions"], 0)}`;
const managed = `${rule}
  Managed settings require approval

${options(["Yes, I trust these settings", "No, exit Claude Code"], 0)}`;
const terms = ` Updates to Consumer Terms and Policies

${options(["Accept terms", "Not now"], 0)}`;
const browser = `${rule}
  Claude in Chrome extension detected

${options(["Yes, use my browser", "No, keep browser tools off"], 0)}`;
const codeMode = `${rule}
  In REPL mode, Claude works by writing and running JavaScript that calls its tools, instead of calling them one at a time.

${options(["No, start without it", "Yes, turn on REPL mode"], 1)}`;
const resumed = `${rule}
  This session is 3d 2h old and 120k tokens.

  Resuming the full session uses a lot of your usage limits. Resuming from a summary uses less.

${options(["Resume from summary (instant, recommended)", "Resume full session as-is", "Don't ask again"], 0)}`;
const resumedQuota = `${rule}
  Resume this conversation?

${options(["Resume", "Start a new conversation", "Resume from summary"], 1)}`;
const newerModel = `${rule}
  You’re resuming an Opus 4 session. Continue with Opus 5?

${options(["Keep Opus 4", "Continue with Opus 5"], 0)}`;
const otherAccount = `${rule}
  This session belongs to another account

${options(["Exit Claude Code", "Change login", "Copy to me@example.com and continue"], 0)}`;

const ENTER = "\r";
const UP = "\x1b[A";
const DOWN = "\x1b[B";
const ESCAPE = "\x1b";
const consent: Consent = { trusted: true, useApiKey: false, restrictingFiles: [] };

describe("adviseOnDialog", () => {
  const cases: [what: string, screen: string, consent: Consent, key: string][] = [
    ["moves to the answer that trusts the folder", trust("no"), consent, DOWN],
    ["confirms when the cursor is on it", trust("yes"), consent, ENTER],
    ["confirms the answer that refuses an API key", apiKey("no"), consent, ENTER],
    ["moves up to refuse an API key", apiKey("yes"), consent, DOWN],
    [
      "moves to the answer that accepts the API key if it may be used",
      apiKey("no"),
      { ...consent, useApiKey: true },
      UP,
    ],
    ["confirms when the cursor is on that answer", apiKey("yes"), { ...consent, useApiKey: true }, ENTER],
    ["accepts the development channel", channels, consent, ENTER],
    ["continues without an MCP server of the project", server, consent, ENTER],
    ["rejects several MCP servers of the project", servers, consent, ESCAPE],
    ["moves to accept the configured permission mode", bypass, consent, DOWN],
    ["disables external imports", imports(0), consent, ENTER],
    ["moves up from the answer that allows external imports", imports(1), consent, UP],
    ["moves down from the answer that fixes settings with Claude", settingsError(0), consent, DOWN],
    ["moves down from the answer that exits to fix settings", settingsError(1), consent, DOWN],
    ["continues without the settings when the cursor is on that answer", settingsError(2), consent, ENTER],
    [
      "continues without the settings if only another file restricts Claude",
      settingsError(2),
      { ...consent, restrictingFiles: ["/work/.claude/settings.json"] },
      ENTER,
    ],
    ["continues after a warning about settings", settingsWarning, consent, ENTER],
    ["declines auto mode", autoMode, consent, DOWN],
    ["declines browser tools", browser, consent, DOWN],
    ["declines an experiment", codeMode, consent, UP],
    ["resumes the full session", resumed, consent, DOWN],
    ["resumes the conversation instead of starting a new one", resumedQuota, consent, UP],
    ["keeps the model of the session", newerModel, consent, ENTER],
    ["waits while the options are not painted", channels.split("❯")[0] ?? "", consent, ""],
  ];
  test.each(cases)("%s", (_what, screen, given, key) => {
    expect(adviseOnDialog(screen, given)).toMatchObject({ key });
  });
});

describe("adviseOnDialog gives no key", () => {
  const cases: [what: string, screen: string, advice: unknown][] = [
    ["for a folder that only a client named", trust("no"), { dialog: "folder trust", refuse: expect.any(String) }],
    [
      "for a Claude Code that was never set up",
      " Let's get started.\n ❯ 1. Dark mode",
      { dialog: "onboarding", refuse: expect.any(String) },
    ],
    [
      "for a damaged configuration file",
      configurationError,
      { dialog: "configuration error", refuse: expect.any(String) },
    ],
    ["for settings of an organization", managed, { dialog: "managed settings", refuse: expect.any(String) }],
    ["for changed terms", terms, { dialog: "terms", refuse: expect.any(String) }],
    [
      "for a session of another account",
      otherAccount,
      { dialog: "session of another account", refuse: expect.any(String) },
    ],
    ["at the prompt", "❯ \n  ⏸ manual mode on · ? for shortcuts", null],
    ["on an empty screen", "", null],
  ];
  test.each(cases)("%s", (_what, screen, advice) => {
    const given = { ...consent, trusted: false };
    if (advice === null) expect(adviseOnDialog(screen, given)).toBeNull();
    else expect(adviseOnDialog(screen, given)).toMatchObject(advice as object);
  });
});

test("adviseOnDialog refuses to continue without a settings file that restricts Claude", () => {
  const long = `/home/me/${"projects/".repeat(14)}.claude/settings.json`;
  const wrapped = `${long.slice(0, 116)}\n  ${long.slice(116)}`;
  for (const [named, restricting] of [
    [file, file],
    [wrapped, long],
  ] as const) {
    const advice = adviseOnDialog(settingsError(0, named), { ...consent, restrictingFiles: [restricting] });
    expect(advice).toMatchObject({ dialog: "settings error", refuse: expect.any(String) });
  }
});

describe("the note of an answer names", () => {
  const cases: [what: string, screen: string, note: string | undefined][] = [
    [
      "the imports that are ignored",
      imports(0),
      expect.stringContaining("(/home/me/shared/rules.md, /home/me/shared/more rules.md)"),
    ],
    [
      "how many imports the screen leaves out",
      imports(1, hidden),
      expect.stringContaining("more rules.md, and 6 more)"),
    ],
    ["the settings file", settingsError(2), expect.stringContaining(`(${file})`)],
    ["the file with invalid values", settingsWarning, expect.stringContaining(`(${file})`)],
    ["nothing if the client loses nothing", browser, undefined],
    ["nothing if the configuration asked for it", trust("yes"), undefined],
  ];
  test.each(cases)("%s", (_what, screen, note) => {
    const advice = adviseOnDialog(screen, consent);
    expect(advice && "note" in advice ? advice.note : undefined).toEqual(note);
  });
});

describe("the text of a resumed conversation", () => {
  const said = [
    trust("no"),
    apiKey("no"),
    channels,
    server,
    servers,
    bypass,
    " Let's get started.\n ❯ x",
    imports(0),
    settingsError(0),
    settingsWarning,
    configurationError,
    managed,
    terms,
    resumed,
    otherAccount,
    "Not logged in · run /login",
  ];
  const screen = `${said.join("\n")}\n${rule}\n❯ \n${rule}\n  ⏸ manual mode on · ? for shortcuts`;
  test("is not mistaken for a dialog", () => {
    expect(adviseOnDialog(screen, consent)).toBeNull();
    expect(showsDialog(screen)).toBe(false);
    expect(saysNotLoggedIn(screen)).toBe(false);
  });
  test("does not hide the footer below the input", () => {
    expect(saysNotLoggedIn(`${screen}       Not logged in · run /login`)).toBe(true);
  });
});

describe("showsDialog recognizes", () => {
  const input = `${rule}\n❯ \n${rule}\n  ⏸ manual mode on · ? for shortcuts`;
  const cases: [what: string, screen: string, isDialog: boolean][] = [
    ["a dialog with options", `${rule}\n  Something new\n\n  ❯ 1. Yes\n    2. No`, true],
    ["a dialog with a hint about keys", "  Something new\n\n  Enter to confirm · Esc to cancel", true],
    ["a question", "Which one do you want?", true],
    ["a dialog below a conversation", `${settingsError(0)}\n${rule}\n  New\n  ❯ a\n    b`, true],
    ["no dialog at the prompt", input, false],
    ["no dialog in a suggestion at the prompt", `${rule}\n❯ Try "fix the bug?"\n${rule}\n  ? for shortcuts`, false],
    ["no dialog in a prompt of two lines", `${rule}\n❯ one\n  two?\n${rule}\n  ? for shortcuts`, false],
    ["no dialog in a question of the conversation", `Shall I go on?\n ❯ 1. Yes\n${input}`, false],
    ["no dialog in the banner of a starting process", " ▐▛███▛█   Claude Code v2.1.332\n▝▜██████▀  Opus 5.5", false],
    ["no dialog on an empty screen", "", false],
  ];
  test.each(cases)("%s", (_what, screen, isDialog) => {
    expect(showsDialog(screen)).toBe(isDialog);
  });
});
