/**
 * The dialogs that claude may open before it takes messages, and the key that brings each of them
 * nearer to the answer we want.
 *
 * A key sent right after a dialog is painted can be lost, and "Enter" on the wrong line may mean
 * "exit". So nothing is typed blindly: each look at the screen gives at most one key, chosen by where
 * the cursor `❯` stands now, and the caller looks again until the dialog is gone.
 */

const ENTER = "\r";
const ESCAPE = "\x1b";
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
  /** An empty key: look again. */
  | { readonly dialog: string; readonly key: string }
  /** This dialog must not be answered for the user. */
  | { readonly dialog: string; readonly refuse: string };

type Answer = { readonly choose: RegExp } | { readonly press: string } | { readonly refuse: string };

interface Dialog {
  readonly name: string;
  readonly title: RegExp;
  answer(consent: Consent): Answer;
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
              "configuration names. Run `claude` in that folder once and accept it, or name the folder in " +
              "SYNTHESIS_WORKSPACE or SYNTHESIS_ALLOWED_ROOTS.",
          },
  },
  {
    name: "API key",
    title: /Detected a custom API key in your environment/,
    answer: ({ useApiKey }) => ({ choose: useApiKey ? /^Yes\b/ : /^No\b/ }),
  },
  // A project must not start programs of its choice just because a chat client named its folder.
  {
    name: "project MCP server",
    title: /New MCP server found in this project/,
    answer: () => ({ choose: /Continue without using this MCP server/ }),
  },
  {
    name: "project MCP servers",
    title: /\d+ new MCP servers found in this project/,
    // "Esc to reject all"
    answer: () => ({ press: ESCAPE }),
  },
  {
    name: "bypass permissions",
    title: /Bypass Permissions mode/,
    // Chosen by whoever configured that mode.
    answer: () => ({ choose: /Yes, I accept/ }),
  },
  {
    name: "onboarding",
    title: /(Let's get started\.|Select login method)[\s\S]*❯/,
    answer: () => ({ refuse: "Claude Code has not been set up for this user. Run `claude` once in a terminal." }),
  },
];

/** Whether claude's footer, below its input, says that nobody is logged in. */
export const saysNotLoggedIn = (screen: string): boolean => /Not logged in · run \/login/i.test(lowestPart(screen));

/** What stands below the last rule: a dialog, or under claude's input the footer. What was said is above. */
const lowestPart = (screen: string): string => screen.slice(Math.max(screen.lastIndexOf("─".repeat(20)), 0));

/**
 * What to do about `screen`; null when no dialog stands on it. Only for a claude that does not take
 * messages yet: a resumed conversation is drawn on the same screen, and may say anything.
 */
export function advise(screen: string, consent: Consent): Advice | null {
  const dialog = dialogs.find(({ title }) => title.test(lowestPart(screen)));
  if (!dialog) return null;
  const answer = dialog.answer(consent);
  if ("refuse" in answer) return { dialog: dialog.name, refuse: answer.refuse };
  if ("press" in answer) return { dialog: dialog.name, key: answer.press };

  // The options are the last lines that can hold the cursor; the text above them may hold their words, too.
  const lines = screen.split("\n").map((line) => line.trim());
  const cursor = lines.findLastIndex((line) => line.startsWith("❯"));
  const target = lines.findLastIndex((line) => answer.choose.test(line.replace(/^❯\s*/, "")));
  // Half painted: look again.
  if (cursor < 0 || target < 0) return { dialog: dialog.name, key: "" };
  return { dialog: dialog.name, key: cursor === target ? ENTER : cursor < target ? DOWN : UP };
}
