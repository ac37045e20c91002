/** Finds the turn and the conversation of a response by its id. */
import { turnOf } from "../api/openai-responses/ids.ts";
import { RequestError } from "../core/errors.ts";
import { type Identity, isEphemeral, ownerOf, recordedIdentity } from "../intake/identity.ts";
import type { SessionRow, TurnRow } from "../store/schema.ts";
import type { SessionStore } from "../store/sessions.ts";
import type { TurnStore } from "../store/turns.ts";

interface ResponseStores {
  readonly sessions: Pick<SessionStore, "find">;
  readonly turns: Pick<TurnStore, "find">;
}

export interface StoredResponse {
  readonly turn: TurnRow;
  readonly session: SessionRow;
}

/**
 * @param owner the name of the chat key; null for the server's own
 * @returns null for a response that does not exist, is of another key, or whose record was deleted
 */
export function findResponse(
  { sessions, turns }: ResponseStores,
  id: string,
  owner: string | null,
): StoredResponse | null {
  const turnId = turnOf(id);
  const turn = turnId === null ? undefined : turns.find(turnId);
  const session = turn && sessions.find(turn.session);
  return turn && session && ownerOf(session) === owner ? { turn, session } : null;
}

/**
 * The conversation that a request continues by the id of a response.
 * @param owner as in `findResponse`
 * @param named the conversation that the request names otherwise; null when it names none
 * @throws RequestError (`previous_response_not_found`) when there is no such response in it
 */
export function continuedConversation(
  stores: ResponseStores,
  id: string,
  owner: string | null,
  named: Identity | null,
): Identity {
  const found = findResponse(stores, id, owner);
  if (!found || isEphemeral(found.session.source)) {
    throw notFound(
      `The response ${id.slice(0, 100)} is of no conversation. Name one from its first request on, by \`conversation\` or \`user\`, or send the whole input.`,
    );
  }
  const { turn, session } = found;
  // A request that names none belongs to the default conversation only if nothing else says where it belongs.
  const isOther = named !== null && named.source !== "default" && ![session.key, session.branchOf].includes(named.key);
  if (isOther) {
    throw notFound(
      "The response is of another conversation than the one that the request names. Leave one of both out.",
    );
  }
  return { ...recordedIdentity(session), previousTurn: turn.id };
}

const notFound = (message: string) =>
  new RequestError("previous_response_not_found", message, { param: "previous_response_id" });
