/**
 * The dialogs that Claude Code may open before it accepts messages, and the keys that answer them.
 *
 * A key that is sent right after a dialog was painted can be lost, and Enter on the wrong line may mean "exit". So each
 * look at the screen yields at most one key, chosen by where the cursor `❯` is now, and the caller looks again until
 * the dialog has closed.
 */

const ENTER = "\r";
const ESCAPE = "\x1b";
const UP = "\x1b[A";
const DOWN = "\x1b[B";

/** What the user of synthesis has agreed to in the configuration. */
export interface Consent {
  /** The configuration names the workspace. */
  readonly trusted: boolean;
  /** `useApiKey` is set. */
  readonly useApiKey: boolean;
  /** Paths of settings files without which Claude would be allowed more. */
  readonly restrictingFiles: readonly string[];
}

export type Advice =
  /** The key to press; an empty key means to look again. `note` says what the client loses by this answer. */
  | { readonly dialog: string; readonly key: string; readonly note?: string }
  /** Only the user may answer this dialog. The text says why, and what to do. */
  | { readonly dialog: string; readonly refuse: string };

type Answer =
  | { readonly choose: RegExp; readonly note?: string }
  | { readonly press: string }
  | { readonly refuse: string };

interface Dialog {
  readonly name: string;
  readonly title: RegExp;
  answer(consent: Consent, screen: string): Answer;
}

const dialogs: readonly Dialog[] = [
  {
    name: "development channels",
    title: /WARNING: Loading development channels/,
    answer: () => ({ choose: /I am using this for local development/ }),
  },
  {
    name: "folder trust",
    title: /Quick safety check: Is this a project you created or one you trust/,
    answer: ({ trusted }) =>
      trusted
        ? { choose: /Yes, I trust this folder/ }
        : {
            refuse:
              "Claude Code does not trust this workspace yet, and synthesis trusts only folders that its " +
              "configuration names. Run `claude` in that folder once and accept the question, or name the folder in " +
              "SYNTHESIS_WORKSPACE or SYNTHESIS_ALLOWED_ROOTS.",
          },
  },
  {
    name: "API key",
    title: /Detected a custom API key in your environment/,
    answer: ({ useApiKey }) => ({ choose: useApiKey ? /^Yes\b/ : /^No\b/ }),
  },
  // A project must not get to start programs merely because a chat client named its folder.
  {
    name: "project MCP server",
    title: /New MCP server found in this project/,
    answer: () => ({ choose: /Continue without using this MCP server/ }),
  },
  {
    name: "project MCP servers",
    title: /\d+ new MCP servers found in this project/,
    answer: () => ({ press: ESCAPE }),
  },
  {
    name: "bypass permissions",
    title: /Bypass Permissions mode/,
    // The dialog only opens if the configuration selects this mode.
    answer: () => ({ choose: /Yes, I accept/ }),
  },
  {
    name: "onboarding",
    title: /(Let's get started\.|Select login method)[\s\S]*❯/,
    answer: () => ({ refuse: "Claude Code has not been set up for this user. Run `claude` once in a terminal." }),
  },
  // A chat client must not get Claude to read files outside the workspace. Claude Code remembers this answer.
  {
    name: "external imports",
    title: /Allow external CLAUDE\.md file imports\?/,
    answer: (_consent, screen) => ({
      choose: /^No, disable external imports/,
      note:
        `Claude Code ignores what the workspace's CLAUDE.md or rules import from other folders${listed(importsOn(screen))}. ` +
        "To allow it, run `claude` in the workspace and turn on external imports in /config.",
    }),
  },
  {
    name: "settings error",
    title: /^ *Settings Error$/m,
    answer: ({ restrictingFiles }, screen) =>
      restrictingFiles.some((file) => unwrapped(screen).includes(unwrapped(file)))
        ? {
            refuse:
              "Claude Code cannot read a settings file, and without the file Claude might do what it forbids. Correct " +
              "the file that the screen names.",
          }
        : {
            choose: /^Continue without these settings/,
            note:
              `Claude Code cannot read a settings file${listed(settingsOn(screen))} and ignores all of it. Run ` +
              "`claude` in the workspace to see what is wrong with the file.",
          },
  },
  {
    name: "settings warning",
    title: /^ *Settings Warning$/m,
    answer: (_consent, screen) => ({
      choose: /^Continue$/,
      note:
        `Claude Code skips some values in a settings file${listed(settingsOn(screen))}. Run \`claude\` in the workspace ` +
        "to see which.",
    }),
  },
  {
    name: "configuration error",
    title: /^ *Configuration error$[\s\S]*isn't valid JSON/m,
    answer: () => ({
      refuse:
        "Claude Code cannot read its configuration file. Correct the file, or run `claude` once and let it reset the file.",
    }),
  },
  {
    name: "managed settings",
    title: /Managed settings require approval/,
    answer: () => ({
      refuse:
        "Your organization's settings for Claude Code need your approval. Run `claude` once in a terminal and answer there.",
    }),
  },
  {
    name: "terms",
    title: /Updates to Consumer Terms and Policies/,
    answer: () => ({
      refuse: "Anthropic's terms have changed and need your answer. Run `claude` once in a terminal and answer there.",
    }),
  },
  {
    name: "trial",
    title: /Your Pro plan includes .*Claude Code/,
    answer: () => ({
      refuse: "Claude Code offers to start your plan's trial. Run `claude` once in a terminal and start it there.",
    }),
  },
  {
    name: "session of another account",
    title: /This session belongs to another account/,
    answer: () => ({
      refuse:
        "The Claude session of this conversation belongs to another account than the one that is logged in. Log in with " +
        "that account (`claude`, then /login), or reset the session with `synthesis sessions reset`.",
    }),
  },
  {
    name: "code mode",
    title: /Claude works by writing and running JavaScript that calls its tools/,
    answer: () => ({ choose: /^No, start without it/ }),
  },
  {
    name: "browser",
    title: /Claude in Chrome extension detected/,
    answer: () => ({ choose: /^No, keep browser tools off/ }),
  },
  {
    name: "auto mode",
    title: /Make auto mode your default permission mode\?/,
    answer: () => ({ choose: /^No, keep / }),
  },
  {
    name: "newer model",
    title: /Newer .* model available[\s\S]*Currently pinned/,
    answer: () => ({ choose: /^No\b/ }),
  },
  // The client expects the whole conversation, and the model that it asked for.
  {
    name: "resume from summary",
    title: /This session is .* old and .* tokens\./,
    answer: () => ({ choose: /^Resume full session as-is/ }),
  },
  {
    name: "resume",
    title: /Resume this conversation\?/,
    answer: () => ({ choose: /^Resume$/ }),
  },
  {
    name: "resume with a newer model",
    title: /You.re resuming an? .* session\. Continue with .*\?/,
    answer: () => ({ choose: /^Keep / }),
  },
];

/** Without white space, because a long path continues on the next line of the screen. */
const unwrapped = (text: string): string => text.replace(/\s+/g, "");

const listed = (names: readonly string[]): string => (names.length > 0 ? ` (${names.join(", ")})` : "");

/** The files that the external-imports dialog names. It names at most six, and says how many more there are. */
function importsOn(screen: string): string[] {
  const lines = /External imports:\n((?: {4,}\S.*\n)+)/.exec(screen)?.[1]?.split("\n") ?? [];
  return lines.flatMap((line) => {
    const [, more] = /^… \+(\d+) imports? not shown/.exec(line.trim()) ?? [];
    if (more) return `and ${more} more`;
    return /^Yes covers|^$/.test(line.trim()) ? [] : line.trim();
  });
}

/** The settings files that a dialog names, one per line. */
const settingsOn = (screen: string): string[] => screen.match(/(?<=^ *)[/~].*\.json$/gm) ?? [];

/** Whether the footer below Claude Code's input says that no user is logged in. */
export const saysNotLoggedIn = (screen: string): boolean => /Not logged in · run \/login/i.test(lowestPart(screen));

/** Whether Claude Code says that it found no conversation with the id that it was to resume. */
export const saysSessionNotFound = (screen: string): boolean => /No conversation found/.test(screen);

/** The part below the last horizontal rule: a dialog, or the footer. The text of the conversation is above the rule. */
const lowestPart = (screen: string): string => screen.slice(Math.max(screen.lastIndexOf("─".repeat(20)), 0));

/**
 * How to answer the dialog on `screen`; null when there is none. Only for a process that does not accept messages yet:
 * later the conversation itself is on the screen, and its text may look like a dialog.
 */
export function adviseOnDialog(screen: string, consent: Consent): Advice | null {
  const dialog = dialogs.find(({ title }) => title.test(lowestPart(screen)));
  if (!dialog) return null;
  const answer = dialog.answer(consent, screen);
  if ("refuse" in answer) return { dialog: dialog.name, refuse: answer.refuse };
  if ("press" in answer) return { dialog: dialog.name, key: answer.press };

  // The options are the last lines that match: the text above them may contain the same words.
  const lines = screen.split("\n").map((line) => line.trim());
  const cursor = lines.findLastIndex((line) => line.startsWith("❯"));
  const target = lines.findLastIndex((line) => answer.choose.test(line.replace(/^(❯\s*)?(\d\.\s*)?/, "")));
  const note = answer.note === undefined ? {} : { note: answer.note };
  // The dialog is only half painted, so the caller should look again.
  if (cursor < 0 || target < 0) return { dialog: dialog.name, key: "" };
  return { dialog: dialog.name, key: cursor === target ? ENTER : cursor < target ? DOWN : UP, ...note };
}

/** Claude Code's input between two rules, and the footer: the screen without a dialog. */
const AT_PROMPT = /─{20}.*\n❯.*\n(?: .*\n)*─{20}.*(?:\n[^❯]*)?$/;
/** A selected option, a hint about keys, or a question. */
const ASKS = /^\s*[❯›>] |\b(Enter|Esc|Space|Tab) to \w|\bPress \w|\b[yY]\/[nN]\b|\?\s*$/m;

/** Whether `screen` shows a dialog, known or unknown. The quoted text of a dialog in a resumed conversation does not count. */
export const showsDialog = (screen: string): boolean => !AT_PROMPT.test(screen) && ASKS.test(lowestPart(screen));
