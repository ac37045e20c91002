/**
 * Notices that Claude has finished a turn although no `Stop` hook has arrived. Claude's session file shows whether it
 * is idle. In tool mode that alone ends the turn, since hooks may be forbidden. In live mode `Stop` follows within
 * milliseconds, unless it is lost or a hook of the user's has refused the message.
 */

import { getLogger } from "@logtape/logtape";
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
  #lastWork: WorkMoment;
  #isCheckingRefusal = false;
  #cancel = () => {};

  constructor(turn: TurnContext, transcript: TranscriptSync) {
    this.#turn = turn;
    this.#transcript = transcript;
    this.#lastWork = this.#mark();
  }

  /** When Claude was last known to work on the turn. */
  get lastWork(): WorkMoment {
    return this.#lastWork;
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
    const { status, statusRevision } = this.#turn.process;
    if (status?.status !== "idle") return false;
    const { wallTime, now } = this.#mark();
    const drift = wallTime - this.#lastWork.wallTime - (now - this.#lastWork.now);
    // The status has a time by the wall clock. After that was set, only a later revision of the status counts.
    if (Math.abs(drift) > CLOCK_SET_MS) return statusRevision > this.#lastWork.statusRevision;
    return status.since >= this.#lastWork.wallTime;
  }

  /** Reads Claude's status, and ends the turn when Claude is done with it. */
  check(): void {
    const { phase, promptId, hasSentText, pendingStop } = this.#turn.state();
    const mayBeRefused = phase === "running" && promptId !== null && !hasSentText && !pendingStop;
    if (mayBeRefused && this.#isDone) void this.#checkRefusal();
    else if (this.#turn.config.reply === "tool" || pendingStop) this.#endIfDone();
    else {
      this.close();
      this.#cancel = this.#turn.clock.after(LOST_STOP_MS, () => this.#endIfDone());
    }
  }

  get #isDone(): boolean {
    return isUnderWay(this.#turn.state()) && this.hasGoneIdle;
  }

  #endIfDone(): void {
    if (this.#isDone) this.#turn.dispatch({ type: "idle" });
  }

  /** Claude became idle before it wrote anything: a hook has refused the message, or the turn's hooks are lost. */
  async #checkRefusal(): Promise<void> {
    if (this.#isCheckingRefusal) return;
    this.#isCheckingRefusal = true;
    const refused = await this.#transcript.readRefusal();
    this.#isCheckingRefusal = false;
    if (refused === null) {
      this.#endIfDone();
      return;
    }
    const { sessionKey, id, dispatch } = this.#turn;
    log.info("a user's hook refused the message", { session: sessionKey, turn: id });
    dispatch({ type: "refused", ...refused });
  }

  close(): void {
    this.#cancel();
  }
}
