/** The error of a message for which a window of the account's plan is used up. */
import { RequestError } from "../core/errors.ts";

/** How people name the windows. */
const NAMES: Record<string, string> = {
  five_hour: "5-hour usage limit",
  seven_day: "weekly usage limit",
  seven_day_opus: "weekly usage limit for Opus",
  seven_day_sonnet: "weekly usage limit for Sonnet",
  seven_day_haiku: "weekly usage limit for Haiku",
  seven_day_fable: "weekly usage limit for Fable",
};

const MINUTE_MS = 60_000;

export class UsageLimitError extends RequestError {
  /** Claude Code's name of the window, or `unknown`. */
  readonly window: string;
  /** When the window resets, Unix time in ms. */
  readonly resetsAt: number;
  /** Which limit is reached, and when it resets. */
  readonly summary: string;

  /** @param now Unix time in ms */
  constructor(window: string, resetsAt: number, now: number) {
    const leftMs = Math.max(resetsAt - now, 0);
    // OpenClaw takes "usage limit" for a limit that lasts, and fails over at once. Without these words it would repeat the
    // request up to nine times. It shows people only messages of up to 300 characters.
    const summary = `Claude's ${NAMES[window] ?? "usage limit"} is reached. It resets in ${inWords(leftMs)}, ${onDate(resetsAt)}.`;
    const advice = "Use another model until then, or send the message again later.";
    super("usage_limit_reached", `${summary} ${advice}`, { retryAfter: Math.max(1, Math.ceil(leftMs / 1000)) });
    this.window = window;
    this.resetsAt = resetsAt;
    this.summary = summary;
  }
}

/** A time such as `on Nov 27 at 09:51 UTC`, in the time zone of the server. */
function onDate(time: number): string {
  const at = new Date(time);
  const day = at.toLocaleDateString("en-US", { month: "short", day: "numeric" });
  const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZoneName: "short" } as const;
  return `on ${day} at ${at.toLocaleTimeString("en-US", clock)}`;
}

/** A duration in its two largest units, such as `1 h 23 min`. */
function inWords(ms: number): string {
  const minutes = Math.max(1, Math.ceil(ms / MINUTE_MS));
  const units: readonly [count: number, name: string][] = [
    [Math.floor(minutes / 1440), "d"],
    [Math.floor(minutes / 60) % 24, "h"],
    [minutes % 60, "min"],
  ];
  const from = units.findIndex(([count]) => count > 0);
  return units
    .slice(from, from + 2)
    .filter(([count]) => count > 0)
    .map(([count, name]) => `${count} ${name}`)
    .join(" ");
}
