/**
 * What notifications say. They go to another service and to people's phones, so without `notifyContent` none of them has
 * what a person or Claude wrote, and never a path.
 */
/** A permission prompt that waits. The last two fields are there only with `notifyContent`. */
export interface PromptNotice {
  readonly id: string;
  /** One of Claude Code's own tools; null for a tool with another name. */
  readonly tool: string | null;
  readonly session?: string;
  readonly description?: string;
}

/** What happened, in the fields of the format `json`. Times are Unix times in ms. */
export type Occurrence =
  /** `prompts` has the oldest of them. */
  | { readonly kind: "permission_prompt"; readonly count: number; readonly prompts: readonly PromptNotice[] }
  | { readonly kind: "login_lost" }
  | { readonly kind: "login_restored" }
  | {
      readonly kind: "plan_window";
      readonly window: string;
      /** 80, 95 or 100. */
      readonly threshold: number;
      readonly used_percent: number;
      readonly resets_at: number | null;
    }
  | { readonly kind: "channels_refused" }
  | { readonly kind: "database_quarantined"; readonly file: string }
  | { readonly kind: "untested_claude"; readonly version: string; readonly tested: string }
  | { readonly kind: "test" };

/** A notification as the format `json` has it. */
export type Notification = Occurrence & {
  /** The same when a notification is sent again. */
  readonly id: string;
  /** When it happened. */
  readonly at: number;
  readonly title: string;
  readonly text: string;
};

interface Wording {
  readonly title: string;
  readonly text: string;
}

/** The whole notification. */
export const notificationOf = (id: string, at: number, occurrence: Occurrence): Notification => ({
  id,
  at,
  ...occurrence,
  ...wordingOf(occurrence),
});

function wordingOf(occurrence: Occurrence): Wording {
  switch (occurrence.kind) {
    case "permission_prompt":
      return { title: "Claude waits for permission", text: promptsText(occurrence) };
    case "login_lost":
      return {
        title: "Claude Code's login is lost",
        text: "Claude Code is not logged in, or its login has expired. Messages fail until you run `claude` in a terminal and use /login.",
      };
    case "login_restored":
      return { title: "Claude Code's login works again", text: "Messages are answered again." };
    case "plan_window":
      return windowWording(occurrence);
    case "channels_refused":
      return {
        title: "Claude Code refuses channels",
        text: "Messages reach Claude Code in a terminal through a channel, which it refuses. `synthesis doctor` says why, and what to do.",
      };
    case "database_quarantined":
      return {
        title: "The database was damaged",
        text: `It was moved to ${occurrence.file} in the state folder, and every conversation starts anew.`,
      };
    case "untested_claude":
      return {
        title: "Claude Code is newer than the tested versions",
        text: `It is ${occurrence.version}; tested are ${occurrence.tested}. \`synthesis doctor --live\` shows whether it works.`,
      };
    case "test":
      return { title: "A test of synthesis", text: "`synthesis doctor --live` has sent this." };
  }
}

type PromptsWait = Occurrence & { readonly kind: "permission_prompt" };
type PlanWindowPassed = Occurrence & { readonly kind: "plan_window" };

function promptsText({ count, prompts }: PromptsWait): string {
  const [first] = prompts;
  if (count === 1 && first) {
    return (
      `${promptLine(first)}\nAnswer in the chat if it is shown there, or with \`synthesis permissions allow ${first.id}\` ` +
      `or \`deny ${first.id}\`.`
    );
  }
  const more = count - prompts.length;
  const lines = prompts.map((prompt) => `- ${promptLine(prompt)}`);
  return [
    `${count} permission prompts wait. \`synthesis permissions list\` shows them.`,
    ...lines,
    ...(more > 0 ? [`- and ${more} more`] : []),
  ].join("\n");
}

const promptLine = ({ id, tool, session, description }: PromptNotice): string =>
  description === undefined
    ? `Claude asks to use ${tool ?? "a tool"} (${id}).`
    : `Claude asks in ${session}: ${description} (${id})`;

const WINDOW_NAMES: Record<string, string> = { five_hour: "five-hour window", seven_day: "seven-day window" };

function windowWording({ window, threshold, used_percent: used, resets_at: resetsAt }: PlanWindowPassed): Wording {
  const name = WINDOW_NAMES[window] ?? `window ${window}`;
  const reset = resetsAt === null ? "When it resets is not known." : `It resets on ${timeOf(resetsAt)}.`;
  if (threshold < 100) {
    return {
      title: `The plan's ${name} is ${threshold}% used`,
      text: `${Math.floor(used)}% of the plan's ${name} is used. ${reset}`,
    };
  }
  return {
    title: `The plan's ${name} is used up`,
    text: `All of the plan's ${name} is used. Unless you pay for more, messages fail until it resets. ${reset}`,
  };
}

const timeFormat = new Intl.DateTimeFormat("en-GB", {
  weekday: "long",
  day: "numeric",
  month: "long",
  hour: "2-digit",
  minute: "2-digit",
  timeZoneName: "short",
});

/** A time such as `Friday 27 November at 14:30 UTC`, in the time zone of the server. */
const timeOf = (ms: number): string => timeFormat.format(ms);
