/**
 * The dialogs that claude may open before it takes messages, and the key that brings each of them
 * nearer to the answer we want.
 *
 * A key sent right after a dialog is painted can be lost, and "Enter" on the wrong line may mean
 * "exit". So nothing is typed blindly: each look at the screen gives at most one key, chosen by where
 * the cursor `❯` stands now, and the caller looks again until the dialog is gone.
 */

const ENTER = "\r";
const UP = "\x1b[A";
const DOWN = "\x1b[B";

/** What the person who runs synthesis has agreed to. */
export interface Consent {
  /** The workspace is named in the configuration. */
  readonly trusted: boolean;
  /** `useApiKey` is set. */
  readonly useApiKey: boolean;
}

export type Advice =
  | { readonly dialog: string; readonly key: string }
  /** This dialog must not be answered for the user. */
  | { readonly dialog: string; readonly refuse: string };

interface Dialog {
  readonly name: string;
  readonly title: RegExp;
  /** The line to choose, or why none may be chosen. */
  answer(consent: Consent): RegExp | string;
}

const dialogs: readonly Dialog[] = [
  {
    name: "development channels",
    title: /WARNING: Loading development channels/,
    answer: () => /I am using this for local development/,
  },
  {
    name: "folder trust",
    title: /Quick safety check: Is this a project you created or one you trust/,
    answer: ({ trusted }) =>
      trusted
        ? /Yes, I trust this folder/
        : "Claude Code does not trust this workspace yet, and synthesis trusts only folders that its configuration " +
          "names. Run `claude` in that folder once and accept it, or name the folder in SYNTHESIS_WORKSPACE or " +
          "SYNTHESIS_ALLOWED_ROOTS.",
  },
  {
    name: "API key",
    title: /Detected a custom API key in your environment/,
    answer: ({ useApiKey }) => (useApiKey ? /^Yes\b/ : /^No\b/),
  },
  {
    name: "project MCP servers",
    title: /New MCP servers? found in this project|new MCP servers found/i,
    // A project must not start programs of its choice just because a chat client named its folder.
    answer: () => /Continue without using|^Reject|^No\b/i,
  },
  {
    name: "bypass permissions",
    title: /Bypass Permissions mode/i,
    // Chosen by whoever configured that mode.
    answer: () => /Yes, I accept/,
  },
  {
    name: "onboarding",
    title: /Let's get started\.|Select login method/,
    answer: () => "Claude Code has not been set up for this user. Run `claude` once in a terminal and log in.",
  },
  {
    name: "login",
    title: /Not logged in · run \/login/i,
    answer: () => "Claude Code is not logged in. Run `claude` in a terminal and use /login.",
  },
];

/** What to do about `screen`; null when no dialog stands on it. */
export function advise(screen: string, consent: Consent): Advice | null {
  const dialog = dialogs.find(({ title }) => title.test(screen));
  if (!dialog) return null;
  const wanted = dialog.answer(consent);
  if (typeof wanted === "string") return { dialog: dialog.name, refuse: wanted };

  // The options are the last lines that can hold the cursor; the text above them may hold their words, too.
  const lines = screen.split("\n").map((line) => line.trim());
  const cursor = lines.findLastIndex((line) => line.startsWith("❯"));
  const target = lines.findLastIndex((line) => wanted.test(line.replace(/^❯\s*/, "")));
  // Half painted: look again.
  if (cursor < 0 || target < 0) return null;
  return { dialog: dialog.name, key: cursor === target ? ENTER : cursor < target ? DOWN : UP };
}
