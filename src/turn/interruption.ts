/** Tells Claude to stop: with Escape, with a second one in case the first is lost, and in the end with SIGKILL. */

import { getLogger } from "@logtape/logtape";
import type { TurnContext } from "./turn-context.ts";

const log = getLogger(["synthesis", "turn"]);

/** How long Claude may take to stop before it is killed. */
const INTERRUPT_MS = 5_000;
/** Escape is pressed again when Claude still works after this time. */
export const PRESS_AGAIN_MS = 1_500;
/** How long a key may wait in Claude's terminal before Claude reads it. It stops whatever Claude works on by then. */
const KEY_MS = 500;

export class Interruption {
  readonly #turn: TurnContext;
  readonly #timeout = new AbortController();
  #cancel = () => {};
  #startedAt = 0;
  #keysPressed = 0;
  #pressedAt = 0;

  constructor(turn: TurnContext) {
    this.#turn = turn;
  }

  /** Presses Escape. @returns aborted when Claude's time to stop is over, or when the turn has ended */
  start(): AbortSignal {
    const { clock } = this.#turn;
    this.#startedAt = clock.now();
    this.#press();
    this.#cancel();
    this.#cancel = clock.after(INTERRUPT_MS, () => this.#timeout.abort("timeout"));
    return this.#timeout.signal;
  }

  /** Claude has not stopped yet: presses Escape again, or kills it. False when it was killed. */
  insist(): boolean {
    const { clock, process, sessionKey } = this.#turn;
    if (clock.now() - this.#startedAt >= INTERRUPT_MS) {
      log.warning("claude killed: it did not stop", { session: sessionKey, pid: process.pid });
      process.kill();
      return false;
    }
    // While Claude works a second Escape does no harm. At its prompt it would open a menu.
    if (process.status?.status === "busy") this.#press();
    return true;
  }

  /**
   * How long, in ms, a key that Claude has not read may still be in its terminal.
   * @param hasStopped Claude finished by itself, before it read any key
   */
  unreadKeyMs(hasStopped: boolean): number {
    const keysRead = hasStopped ? 0 : 1;
    if (this.#keysPressed <= keysRead) return 0;
    return Math.max(0, this.#pressedAt + KEY_MS - this.#turn.clock.now());
  }

  close(): void {
    this.#cancel();
    this.#timeout.abort("ended");
  }

  #press(): void {
    this.#keysPressed += 1;
    this.#pressedAt = this.#turn.clock.now();
    this.#turn.process.interrupt();
  }
}
