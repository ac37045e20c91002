/** Which thresholds of the plan's windows have been passed, each once per window. */
import type { PlanWindow } from "../limits/account.ts";

/** In percent, the highest first. */
const THRESHOLDS = [100, 95, 80];
export const LOWEST_THRESHOLD = 80;
/** Two reports of the same reset differ by less than this, in ms. The shortest window has five hours. */
const SAME_RESET_MS = 30 * 60_000;

/** The highest threshold of a window for which there was a notification. */
export interface Passed {
  readonly threshold: number;
  readonly resetsAt: number | null;
}

/**
 * The threshold that a window has passed since its last notification.
 * @param before the last notification of a window with this name
 * @param now Unix time in ms
 * @returns null when it has passed none
 */
export function newlyPassed(
  { usedPercent, resetsAt }: PlanWindow,
  before: Passed | undefined,
  now: number,
): Passed | null {
  if (usedPercent === null) return null;
  const threshold = THRESHOLDS.find((one) => usedPercent >= one);
  if (threshold === undefined) return null;
  if (before && isSameWindow(before, resetsAt, now) && before.threshold >= threshold) return null;
  return { threshold, resetsAt };
}

function isSameWindow(before: Passed, resetsAt: number | null, now: number): boolean {
  if (before.resetsAt === null) return true;
  return resetsAt === null ? now < before.resetsAt : Math.abs(resetsAt - before.resetsAt) < SAME_RESET_MS;
}
