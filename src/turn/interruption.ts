/** claude is told to stop: one Escape, another when that is lost, and an end when it does not listen. */
import { getLogger } from "@logtape/logtape";
import type { ClaudeProcess } from "../claude/interactive/process.ts";

const log = getLogger(["synthesis", "turn"]);

/** How long claude may take before it is ended. */
const INTERRUPT_MS = 5_000;
/** Escape is pressed again when claude still works after this. */
export const PRESS_AGAIN_MS = 1_500;
/** A key may lie in claude's terminal for so long. Whatever claude has taken up by then, it stops. */
const KEY_MS = 500;

export class Interruption {
  readonly #process: ClaudeProcess;
  readonly #sessionKey: string;
  #begunAt = 0;
  #keys = 0;
  #pressedAt = 0;

  constructor(process: ClaudeProcess, sessionKey: string) {
    this.#process = process;
    this.#sessionKey = sessionKey;
  }

  /** @returns aborted when claude has had its time */
  begin(): AbortSignal {
    this.#begunAt = performance.now();
    this.#press();
    return AbortSignal.timeout(INTERRUPT_MS);
  }

  /** It takes long. Ends claude when it does not listen; false then, and there is nothing more to wait for. */
  insist(): boolean {
    if (performance.now() - this.#begunAt >= INTERRUPT_MS) {
      log.warning("claude does not let itself be interrupted", { session: this.#sessionKey, pid: this.#process.pid });
      this.#process.kill();
      return false;
    }
    // A key can be lost. While claude works a second one does no harm; at its prompt it would.
    if (this.#process.status?.status === "busy") this.#press();
    return true;
  }

  /**
   * How long, in ms, claude may have a key before it that it has not read.
   * @param hasStopped it was done before it read any
   */
  unread(hasStopped: boolean): number {
    const read = hasStopped ? 0 : 1;
    return this.#keys > read ? Math.max(0, this.#pressedAt + KEY_MS - performance.now()) : 0;
  }

  #press(): void {
    this.#keys += 1;
    this.#pressedAt = performance.now();
    this.#process.pressEscape();
  }
}
