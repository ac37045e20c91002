/**
 * Notices that Claude has finished a turn although no `Stop` hook has arrived. Claude's session file shows whether it
 * is idle. In tool mode that alone ends the turn, since hooks may be forbidden. In live mode `Stop` follows within
 * milliseconds, unless it is lost or a hook of the user's has refused the message.
 */

import { getLogger } from "@logtape/logtape";
import type { SessionStatus } from "../claude/session-file.ts";
import type { TranscriptSync } from "./transcript-sync.ts";
import type { TurnContext } from "./turn-context.ts";
import { isUnderWay } from "./turn-state.ts";

const log = getLogger(["synthesis", "turn"]);

/** How long an idle Claude's `Stop` hook is waited for. */
const LOST_STOP_MS = 3_000;
/** When the wall clock and the monotonic clock have drifted apart by more, the wall clock was set. */
const CLOCK_SET_MS = 1_000;

/** A moment at which Claude worked on the turn, or was about to. A status from before it means nothing. */
export interface WorkMoment {
  /** Unix time in ms. */
  readonly wallTime: number;
  /** Milliseconds on the monotonic clock. */
  readonly now: number;
  /** The process's `statusRevision` at that moment. */
  readonly statusRevision: number;
}

export class IdleWatch {
  readonly #turn: TurnContext;
  readonly #transcript: TranscriptSync;
  /** Before the message was sent. */
  #sent: WorkMoment;
  #lastWork: WorkMoment;
  #isReadingRefusal = false;
  #cancel = () => {};

  constructor(turn: TurnContext, transcript: TranscriptSync) {
    this.#turn = turn;
    this.#transcript = transcript;
    this.#sent = this.#mark();
    this.#lastWork = this.#sent;
  }

  /** When Claude was last known to work on the turn. */
  get lastWork(): WorkMoment {
    return this.#lastWork;
  }

  /** Notes that the message is about to be sent. */
  noteSending(): void {
    this.#sent = this.#mark();
    this.#lastWork = this.#sent;
  }

  /** Notes that Claude has the message. A hook that refuses it may overtake the one that is the receipt. */
  noteReceipt(): void {
    this.noteWork();
    void this.findRefusal();
  }

  /** Notes that Claude works on the turn, now or at another moment. */
  noteWork(at: WorkMoment = this.#mark()): void {
    this.#lastWork = at;
  }

  #mark(): WorkMoment {
    const { clock, process } = this.#turn;
    return { wallTime: clock.wallTime(), now: clock.now(), statusRevision: process.statusRevision };
  }

  /** Whether Claude's status has become idle since it last was known to work. */
  get hasGoneIdle(): boolean {
    return this.#isIdleSince(this.#lastWork, this.#turn.process.status);
  }

  #isIdleSince(moment: WorkMoment, status: SessionStatus | null): boolean {
    if (status?.status !== "idle") return false;
    const { wallTime, now, statusRevision } = this.#mark();
    const drift = wallTime - moment.wallTime - (now - moment.now);
    // The status has a time by the wall clock. After that was set, only a later revision of the status counts.
    if (Math.abs(drift) > CLOCK_SET_MS) return statusRevision > moment.statusRevision;
    return status.since >= moment.wallTime;
  }

  /** Reads Claude's status, and ends the turn when Claude is done with it. */
  check(): void {
    const { phase, pendingStop } = this.#turn.state();
    const mayEnd = this.#turn.config.reply === "tool" || pendingStop !== null;
    const mayBeRefused = phase === "running" && this.#awaitsText;
    // The status is read once: it may change between two reads, and every decision here must be about the same one. It is
    // in a file, so it is not read if nothing depends on it.
    const status = mayEnd || mayBeRefused ? this.#turn.process.status : null;
    if (mayBeRefused && this.#isIdleSince(this.#sent, status)) void this.#findRefusal();
    else if (mayEnd) this.#endIfDone(status);
    else {
      this.close();
      this.#cancel = this.#turn.clock.after(LOST_STOP_MS, () => this.#endIfDone());
    }
  }

  /**
   * Ends the turn when Claude has become idle and has recorded that a hook has refused the message.
   * @returns whether it has
   */
  async findRefusal(): Promise<boolean> {
    return this.#awaitsText && this.#isIdleSince(this.#sent, this.#turn.process.status) && this.#findRefusal();
  }

  /** Claude has written nothing. If it becomes idle now, a hook may have refused the message. */
  get #awaitsText(): boolean {
    const { phase, promptId, hasSentText, pendingStop } = this.#turn.state();
    const isWaiting = phase === "sent" || (phase === "running" && promptId !== null);
    return isWaiting && !hasSentText && !pendingStop;
  }

  #endIfDone(status = this.#turn.process.status): void {
    if (isUnderWay(this.#turn.state()) && this.#isIdleSince(this.#lastWork, status)) {
      this.#turn.dispatch({ type: "idle" });
    }
  }

  async #findRefusal(): Promise<boolean> {
    if (this.#isReadingRefusal) return false;
    this.#isReadingRefusal = true;
    const refused = await this.#transcript.readRefusal();
    this.#isReadingRefusal = false;
    if (refused === null) {
      // The turn's hooks are lost, or the idle status was an earlier one.
      this.#endIfDone();
      return false;
    }
    const { sessionKey, id, dispatch } = this.#turn;
    log.info("a user's hook refused the message", { session: sessionKey, turn: id });
    dispatch({ type: "refused", ...refused });
    return true;
  }

  close(): void {
    this.#cancel();
  }
}
