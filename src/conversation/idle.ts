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
  /** What claude said of itself then, which may be late. */
  readonly status: SessionStatus | null;
}

export const markWork = (status: SessionStatus | null): WorkMark => ({
  wall: Date.now(),
  steady: performance.now(),
  status,
});

/**
 * It says so by the clock on the wall, to the millisecond; when that has been set meanwhile, any other word than the
 * last one is news.
 */
export function hasGoneIdle(status: SessionStatus | null, { wall, steady, status: before }: WorkMark): boolean {
  if (status?.status !== "idle") return false;
  const jump = Date.now() - wall - (performance.now() - steady);
  return Math.abs(jump) > CLOCK_SET_MS ? !Bun.deepEquals(status, before) : status.since >= wall;
}
