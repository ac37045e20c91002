/**
 * Makes Claude stop: with an interrupt, with a second one in case the first is lost, and in the end with SIGKILL. In a
 * terminal an interrupt is a key, Escape, which Claude may read late or at its prompt.
 */

import { getLogger } from "@logtape/logtape";
import type { TurnContext } from "./turn-context.ts";

const log = getLogger(["synthesis", "turn"]);

/** How long Claude may take to stop before it is killed. */
const INTERRUPT_MS = 5_000;
/** The interrupt is repeated when Claude still works after this time. */
export const REPEAT_MS = 1_500;
/** How long an interrupt may wait before Claude reads it. It stops whatever Claude works on at that moment. */
const UNREAD_MS = 500;

export class Interruption {
  readonly #turn: TurnContext;
  readonly #timeout = new AbortController();
  #cancel = () => {};
  #startedAt = 0;
  #sent = 0;
  #sentAt = 0;

  constructor(turn: TurnContext) {
    this.#turn = turn;
  }

  /** Interrupts Claude. @returns aborted when Claude's time to stop is over, or when the turn has ended */
  start(): AbortSignal {
    const { clock } = this.#turn;
    this.#startedAt = clock.now();
    this.#send();
    this.#cancel();
    this.#cancel = clock.after(INTERRUPT_MS, () => this.#timeout.abort("timeout"));
    return this.#timeout.signal;
  }

  /** Claude has not stopped yet: interrupts it again, or kills it. False when it was killed. */
  insist(): boolean {
    const { clock, process, sessionKey } = this.#turn;
    if (clock.now() - this.#startedAt >= INTERRUPT_MS) {
      log.warning("claude killed: it did not stop", { session: sessionKey, pid: process.pid });
      process.kill();
      return false;
    }
    // A second interrupt does no harm while Claude works. At its prompt it would open a menu.
    if (process.status?.status === "busy") this.#send();
    return true;
  }

  /**
   * How long, in ms, Claude may still read an interrupt that was sent to it.
   * @param hasStopped Claude finished by itself, before it read any interrupt
   */
  unreadMs(hasStopped: boolean): number {
    const read = hasStopped ? 0 : 1;
    if (this.#sent <= read) return 0;
    return Math.max(0, this.#sentAt + UNREAD_MS - this.#turn.clock.now());
  }

  close(): void {
    this.#cancel();
    this.#timeout.abort("ended");
  }

  #send(): void {
    this.#sent += 1;
    this.#sentAt = this.#turn.clock.now();
    this.#turn.process.interrupt();
  }
}
