/** The turns of a node: a message may be sent only when Postgres has its turn, under a claim that holds. */
import { RequestError } from "../core/errors.ts";
import { isEphemeral, rootOf } from "../intake/identity.ts";
import type { SessionStore } from "../store/sessions.ts";
import type { TurnStore } from "../store/turns.ts";
import type { Fleet } from "./fleet.ts";

/** The same store, with messages that are recorded in Postgres as well before they are sent. */
export function recordedTurns(
  turns: TurnStore,
  sessions: Pick<SessionStore, "find">,
  fleet: Pick<Fleet, "recordChanges">,
): TurnStore {
  const insertSent: TurnStore["insertSent"] = async (turn) => {
    await turns.insertSent(turn);
    const session = sessions.find(turn.session);
    // No other node could continue it.
    if (!session || isEphemeral(session.source)) return;
    try {
      await fleet.recordChanges(rootOf({ key: session.key, ...(session.branchOf && { branchOf: session.branchOf }) }));
    } catch (error) {
      const errorCode = error instanceof RequestError ? error.code : "internal_error";
      turns.markEnded(turn.id, { state: "failed", at: Date.now(), firstTextAt: null, errorCode, exchanges: null });
      throw error;
    }
  };
  // The store has getters, whose values a copy would keep.
  return Object.assign(Object.create(turns) as TurnStore, { insertSent });
}
