/**
 * The deadlines of a turn. In each phase a turn has at most one, and `arm` sets the timer for it. What happens when it
 * expires is the runner's decision.
 */

import { RequestError } from "../core/errors.ts";
import { REPEAT_MS } from "./interruption.ts";
import type { TurnContext } from "./turn-context.ts";
import { awaitsReceipt, type TurnState } from "./turn-state.ts";

/**
 * - `receipt`: Claude has not received the message
 * - `status`: Claude has stopped, but another hook may keep it working. Its status is read until it shows which
 * - `progress`: the turn's time is over, or Claude has shown no output for too long
 * - `client`: the client has not sent its next request to the parked turn
 * - `closing`: Claude has not recorded the results with which the turn was abandoned
 * - `interruption`: Claude has not recorded its interruption
 */
export type Deadline = "receipt" | "status" | "progress" | "client" | "closing" | "interruption";

/** How often Claude's status is read while a `Stop` may be overruled. */
const READ_STATUS_MS = 1_000;
/** How long Claude may take to record the results of an abandoned turn. */
const CLOSING_MS = 1_000;

export class Deadlines {
  readonly #turn: TurnContext;
  readonly #onExpired: (deadline: Deadline) => void;
  #cancel = () => {};
  #startedAt = 0;
  #parkedAt = 0;
  /** How long the turn was parked in all. */
  #parkedMs = 0;

  constructor(turn: TurnContext, onExpired: (deadline: Deadline) => void) {
    this.#turn = turn;
    this.#onExpired = onExpired;
  }

  start(): void {
    this.#startedAt = this.#turn.clock.now();
  }

  park(): void {
    this.#parkedAt = this.#turn.clock.now();
  }

  /** The time in which the turn was parked does not count. */
  unpark(): void {
    this.#parkedMs += this.#turn.clock.now() - this.#parkedAt;
  }

  /** How long ago the turn started, in ms. */
  get ageMs(): number {
    return this.#turn.clock.now() - this.#startedAt;
  }

  /** How long Claude may still work on the turn, in ms; 0 or less when the time is over. */
  get #remainingMs(): number {
    return this.#turn.config.turnTimeoutMs - (this.ageMs - this.#parkedMs);
  }

  get #silentMs(): number {
    return this.#turn.clock.now() - this.#turn.process.lastOutputAt;
  }

  get hasTimeLeft(): boolean {
    return this.#remainingMs > 0;
  }

  /** Sets the timer that the turn's present state needs, and cancels the one before. */
  arm(): void {
    this.close();
    const deadline = deadlineOf(this.#turn.state());
    if (deadline === null) return;
    this.#cancel = this.#turn.clock.after(this.#delay(deadline), () => this.#onExpired(deadline));
  }

  #delay(deadline: Deadline): number {
    const { config, state } = this.#turn;
    switch (deadline) {
      case "receipt":
        return config.receiptTimeoutMs;
      case "status":
        return READ_STATUS_MS;
      case "progress":
        return Math.max(Math.min(this.#remainingMs, config.progressTimeoutMs - this.#silentMs), 0);
      case "client": {
        // The permission broker denies a prompt when its time is over. This deadline comes later, so the broker acts first.
        const isQuestion = state().calls.every(({ isWithClient }) => !isWithClient);
        return isQuestion ? config.permissionTimeoutMs + CLOSING_MS : config.parkedToolTimeoutMs;
      }
      case "closing":
        return CLOSING_MS;
      case "interruption":
        return REPEAT_MS;
    }
  }

  /** The error of a turn that has exceeded its time, or whose Claude has shown no output for too long; null otherwise. */
  get overdue(): RequestError | null {
    const { turnTimeoutMs, progressTimeoutMs } = this.#turn.config;
    if (!this.hasTimeLeft) {
      return new RequestError(
        "turn_timeout",
        `Claude Code worked for ${turnTimeoutMs} ms without finishing, so synthesis stopped it. The next message ` +
          "continues from there. SYNTHESIS_TURN_TIMEOUT_MS allows more time.",
      );
    }
    if (this.#silentMs >= progressTimeoutMs) {
      return new RequestError(
        "turn_timeout",
        `Claude Code showed no output for ${progressTimeoutMs} ms, so synthesis stopped it. Send the message again. ` +
          "SYNTHESIS_PROGRESS_TIMEOUT_MS allows more time.",
      );
    }
    return null;
  }

  close(): void {
    this.#cancel();
  }
}

/** Which deadline a turn has in this state; null when it has none. */
function deadlineOf(state: TurnState): Deadline | null {
  if (awaitsReceipt(state)) return "receipt";
  switch (state.phase) {
    case "running":
    case "answered":
      return state.pendingStop ? "status" : "progress";
    case "parked":
      return "client";
    case "interrupting":
      return state.closingCalls.length > 0 ? "closing" : "interruption";
    default:
      return null;
  }
}
