/**
 * Waits until every tool call of one model message has arrived. Claude starts the first call while the model still
 * writes the next one, and records the message, with all its calls, when it is complete.
 */

import type { Clock } from "../core/clock.ts";
import { allMessagesComplete } from "./text-assembler.ts";
import { isCollectingCalls, type TurnState } from "./turn-state.ts";

/** The batch ends when nothing has arrived for this long and no call is known to be missing. */
const QUIET_MS = 500;
/**
 * The batch ends without a call that was recorded or announced when nothing has arrived for this long: Claude may run
 * the calls one after the other, a hook may have refused one, or the machine is only busy.
 */
const MISSING_CALL_MS = 2_000;

/**
 * @param stateOf the current state of the turn
 * @param next resolves when the next event of the turn has arrived
 * @param together the ids of all calls in the message; null when the record does not show them
 */
export async function collectCallBatch(
  stateOf: () => TurnState,
  next: () => Promise<void>,
  together: readonly string[] | null,
  clock: Clock,
): Promise<void> {
  for (let isQuiet = false; isCollectingCalls(stateOf()) && !isQuiet; ) {
    const { calls, announced, answer } = stateOf();
    const arrived = new Set(calls.map(({ id }) => id));
    const isCallMissing = announced.length > 0 || together?.some((id) => !arrived.has(id)) === true;
    if (together !== null && !isCallMissing && allMessagesComplete(answer)) return;
    const quiet = Promise.withResolvers<void>();
    const cancel = clock.after(isCallMissing ? MISSING_CALL_MS : QUIET_MS, () => {
      isQuiet = true;
      quiet.resolve();
    });
    await Promise.race([next(), quiet.promise]);
    cancel();
  }
}
