/**
 * What Anthropic has rejected because a window of the account's plan is used up. Until the window resets, further
 * messages for it are refused before they are sent, so that a client can fail over to another model at once. One message
 * every few minutes is sent nevertheless, because a person can lift a limit before its reset: they may pay for more, or
 * log in with another account.
 *
 * Only a message that Anthropic has rejected counts, and never a meter at 100 %. Nothing is stored: after a restart, the
 * first message shows in less than a second whether the limit still holds.
 */
import { getLogger } from "@logtape/logtape";
import { type Clock, systemClock } from "../core/clock.ts";
import { UsageLimitError } from "./usage-limit-error.ts";

const log = getLogger(["synthesis", "limits"]);

/** How long after the last message that was sent under a rejection the next one is sent, in ms. */
const PROBE_EVERY_MS = 300_000;
/** The windows that hold for every model. */
const OF_ALL_MODELS = new Set(["five_hour", "seven_day"]);
/** A window of seven days for one family of models. */
const OF_ONE_FAMILY = /^seven_day_(opus|sonnet|haiku|fable)$/;

/** A window that is used up. */
export interface Rejection {
  /** `five_hour`, `seven_day`, `seven_day_opus`, or another name, as Claude Code says it. */
  readonly window: string;
  /** The models whose messages were rejected, as the clients named them; null for Claude Code's default model. */
  readonly models: readonly (string | null)[];
  /** Unix time in ms. */
  readonly resetsAt: number;
}

interface HeldRejection extends Rejection {
  /** When a message was last sent under it, on the monotonic clock. */
  lastSentAt: number;
}

export class Rejections {
  readonly #clock: Pick<Clock, "now" | "wallTime">;
  /** By window. A window that resets is a new entry, so that the answer to an old message does not lift it. */
  readonly #byWindow = new Map<string, HeldRejection>();

  constructor(clock: Pick<Clock, "now" | "wallTime"> = systemClock) {
    this.#clock = clock;
  }

  /** The rejections whose reset lies ahead. */
  current(): readonly Rejection[] {
    return this.#held().map(({ window, models, resetsAt }) => ({ window, models, resetsAt }));
  }

  /**
   * Notes the error of a message that was sent.
   * @param model of the process that sent it; null for Claude Code's default model
   */
  note(error: Error, model: string | null): void {
    if (!(error instanceof UsageLimitError) || error.resetsAt <= this.#clock.wallTime()) return;
    const { window, resetsAt } = error;
    const before = this.#held().find((one) => one.window === window);
    if (!before) log.warning("usage limit reached: {window}", { window, resetsAt: new Date(resetsAt).toISOString() });
    const models = [...new Set([...(before?.models ?? []), model])];
    this.#byWindow.set(window, { window, models, resetsAt, lastSentAt: this.#clock.now() });
  }

  /** The error for a message to this model as long as a rejection holds; null when none does. */
  refusal(model: string | null): UsageLimitError | null {
    return this.#refusalFor(this.#heldFor(model));
  }

  /**
   * Decides whether a message is sent.
   * @param model null for Claude Code's default model
   * @param answer resolves when Claude has begun to answer the message, which lifts the rejections that it was sent under
   * @returns the error for its client; null when it is sent
   */
  admit(model: string | null, answer: Promise<void>): UsageLimitError | null {
    const held = this.#heldFor(model);
    const now = this.#clock.now();
    if (held.some(({ lastSentAt }) => now - lastSentAt < PROBE_EVERY_MS)) return this.#refusalFor(held);
    for (const one of held) one.lastSentAt = now;
    if (held.length > 0) void answer.then(() => this.#lift(held));
    return null;
  }

  #lift(rejections: readonly HeldRejection[]): void {
    for (const rejection of rejections) {
      const { window } = rejection;
      // The window may have been rejected again meanwhile.
      if (this.#byWindow.get(window) !== rejection) continue;
      this.#byWindow.delete(window);
      log.info("usage limit lifted before its reset: {window}", { window });
    }
  }

  #refusalFor(held: readonly Rejection[]): UsageLimitError | null {
    const last = held.reduce<Rejection | null>(
      (late, one) => (late && late.resetsAt > one.resetsAt ? late : one),
      null,
    );
    return last && new UsageLimitError(last.window, last.resetsAt, this.#clock.wallTime());
  }

  #held(): readonly HeldRejection[] {
    const now = this.#clock.wallTime();
    for (const { window, resetsAt } of [...this.#byWindow.values()]) {
      if (resetsAt <= now) this.#byWindow.delete(window);
    }
    return [...this.#byWindow.values()];
  }

  #heldFor(model: string | null): readonly HeldRejection[] {
    return this.#held().filter((one) => concerns(one, model));
  }
}

/** Whether a rejection holds for messages to this model. */
function concerns({ window, models }: Rejection, model: string | null): boolean {
  // Of a window with an unknown name, it is only known which models it was used up for.
  if (OF_ALL_MODELS.has(window) || models.includes(model)) return true;
  const [, family] = OF_ONE_FAMILY.exec(window) ?? [];
  // An alias such as `opus` or `opus[1m]`, or a full name such as `claude-opus-5-5`, but not `opusplan`.
  return family !== undefined && model !== null && new RegExp(`(?:^|-)${family}(?:$|[-[])`).test(model);
}
