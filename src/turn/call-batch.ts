/**
 * Waits for all calls that claude makes together. claude begins with the first while the model still writes the next,
 * and records the message when it is complete: with all its calls.
 */

import { isCollectingCalls, type TurnState } from "./reducer.ts";
import { allMessagesComplete } from "./text-assembler.ts";

/** After so long without another sign, in ms, no more calls of a message will come. */
const QUIET_MS = 500;

/**
 * @param stateOf the turn as it stands
 * @param next resolves when something has come for the turn
 * @param together the ids of all of them; null when that is not known
 */
export async function collectCallBatch(
  stateOf: () => TurnState,
  next: () => Promise<void>,
  together: readonly string[] | null,
): Promise<void> {
  for (let isQuiet = false; isCollectingCalls(stateOf()) && !isQuiet; ) {
    const { calls, announced, answer } = stateOf();
    const there = new Set(calls.map(({ id }) => id));
    if (together?.every((id) => there.has(id)) && announced.length === 0 && allMessagesComplete(answer)) return;
    const quiet = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      isQuiet = true;
      quiet.resolve();
    }, QUIET_MS);
    await Promise.race([next(), quiet.promise]);
    clearTimeout(timer);
  }
}
