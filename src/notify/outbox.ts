/**
 * Notifications on their way to the receiver, in order, one at a time. While the receiver cannot be reached they wait, and
 * are sent when it is back. They are kept in memory only.
 */
import { getLogger } from "@logtape/logtape";
import { type Clock, systemClock } from "../core/clock.ts";
import { type Notification, notificationOf, type Occurrence } from "./notification.ts";
import type { SendResult } from "./send.ts";

const log = getLogger(["synthesis", "notify"]);

/** How long one attempt may take, in ms. */
const ATTEMPT_MS = 10_000;
/** The pause after the first failed attempt, in ms. It doubles after each further one. */
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 5 * 60_000;
/** The longest pause that a receiver can ask for, in ms. */
const MAX_RETRY_AFTER_MS = 60 * 60_000;
/** How many notifications may wait. The oldest gives way. */
const MAX_WAITING = 100;
/** After this long, in ms, a notification is of no use. */
const MAX_AGE_MS = 24 * 60 * 60_000;
/** How long `close` tries to send what waits, in ms. */
const FLUSH_MS = 2_000;

export interface Entry {
  /** What to send; null when it is of no use any more. It is called before each attempt. */
  read(): Occurrence | null;
  /** The receiver has it. */
  onDelivered?(): void;
}

interface Waiting {
  readonly entry: Entry;
  readonly id: string;
  readonly at: number;
}

type Send = (notification: Notification, signal: AbortSignal) => Promise<SendResult>;

export class Outbox {
  readonly #send: Send;
  readonly #clock: Clock;
  readonly #waiting: Waiting[] = [];
  /** Resolves when nothing is sent any more. Null when nothing waits. */
  #running: Promise<void> | null = null;
  #attempt: AbortController | null = null;
  /** Ends the pause between two attempts. */
  #endPause = () => {};
  #isClosed = false;
  /** The receiver could not be reached at the last attempt, or refused it: this is logged once. */
  #isFailing = false;

  constructor(send: Send, clock: Clock = systemClock) {
    this.#send = send;
    this.#clock = clock;
  }

  /** Queues a notification, and returns at once. */
  add(entry: Entry): void {
    if (this.#isClosed) return;
    if (this.#waiting.length >= MAX_WAITING) {
      this.#waiting.shift();
      log.warning("more than {most} notifications wait, the oldest was dropped", { most: MAX_WAITING });
    }
    this.#waiting.push({ entry, id: crypto.randomUUID(), at: this.#clock.wallTime() });
    this.#running ??= this.#run();
  }

  /** Tries once more to send what waits, within two seconds. Resolves when nothing is sent any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#endPause();
    const cancel = this.#clock.after(FLUSH_MS, () => {
      this.#waiting.length = 0;
      this.#attempt?.abort();
    });
    await this.#running;
    cancel();
  }

  async #run(): Promise<void> {
    // Let the caller continue first, so that no turn waits for the work below.
    await Promise.resolve();
    try {
      await this.#sendAll();
    } catch (error) {
      log.error("notifications could not be sent: {error}", { error });
    }
    this.#running = null;
  }

  async #sendAll(): Promise<void> {
    let failures = 0;
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      const occurrence = this.#clock.wallTime() - next.at > MAX_AGE_MS ? null : next.entry.read();
      const result = occurrence && (await this.#try(notificationOf(next.id, next.at, occurrence)));
      if (result?.type === "unavailable" && !this.#isClosed) {
        failures += 1;
        await this.#pause(pauseAfter(failures, result.retryAfterMs));
        continue;
      }
      failures = 0;
      // It may have given way to newer ones in the meantime.
      const at = this.#waiting.indexOf(next);
      if (at >= 0) this.#waiting.splice(at, 1);
      if (result?.type === "delivered") next.entry.onDelivered?.();
    }
  }

  async #try(notification: Notification): Promise<SendResult> {
    const attempt = new AbortController();
    this.#attempt = attempt;
    const cancel = this.#clock.after(ATTEMPT_MS, () => attempt.abort());
    try {
      const result = await this.#send(notification, attempt.signal);
      this.#note(notification.kind, result);
      return result;
    } finally {
      cancel();
      this.#attempt = null;
    }
  }

  /** Logs the first failure in a row, and the success after it. */
  #note(kind: Notification["kind"], result: SendResult): void {
    if (result.type === "delivered") {
      if (this.#isFailing) log.info("the receiver of notifications can be reached again");
      this.#isFailing = false;
      log.debug("notification sent: {kind}", { kind });
      return;
    }
    if (this.#isFailing) return;
    this.#isFailing = true;
    log.warning(
      result.type === "refused"
        ? "a notification was dropped, because the receiver {why}; check SYNTHESIS_NOTIFY_URL and SYNTHESIS_NOTIFY_FORMAT"
        : "notifications wait, because the receiver {why}",
      { why: result.why, kind },
    );
  }

  #pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#clock.after(ms, resolve);
    this.#endPause = () => {
      cancel();
      resolve();
    };
    return promise;
  }
}

function pauseAfter(failures: number, retryAfterMs: number | null): number {
  if (retryAfterMs !== null) return Math.min(Math.max(retryAfterMs, FIRST_PAUSE_MS), MAX_RETRY_AFTER_MS);
  return Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), MAX_PAUSE_MS);
}
