/** Whether claude, by its own word, has gone idle since it was known to work. */
import type { SessionStatus } from "../claude/session-file.ts";

/** The clock on the wall and the steady one drift apart by less, in ms. */
const CLOCK_SET_MS = 1_000;

/** A moment at which claude worked, or was about to: that it was idle before says nothing. */
export interface WorkMark {
  /** Unix time in ms. */
  readonly wall: number;
  /** In ms of `performance.now()`. */
  readonly steady: number;
  /** How often claude had said something of itself by then. */
  readonly words: number;
}

export const markWork = (words: number): WorkMark => ({ wall: Date.now(), steady: performance.now(), words });

/**
 * It says so by the clock on the wall, to the millisecond; when that has been set meanwhile, any word since then is
 * news.
 * @param words how often claude has said something of itself by now
 */
export function hasGoneIdle(status: SessionStatus | null, words: number, mark: WorkMark): boolean {
  if (status?.status !== "idle") return false;
  const { wall, steady } = mark;
  const jump = Date.now() - wall - (performance.now() - steady);
  return Math.abs(jump) > CLOCK_SET_MS ? words > mark.words : status.since >= wall;
}
