/** Finds the turn and the conversation of a response by its id. */
import { turnOf } from "../api/openai-responses/ids.ts";
import { lastReference } from "../api/openai-responses/items.ts";
import type { ResponsesRequest } from "../api/openai-responses/request.ts";
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
 * @param id of a response, or of one of its items
 * @param owner the name of the chat key; null for the server's own
 * @returns null for a response that does not exist, is of another key, or was deleted
 */
export function findResponse(
  { sessions, turns }: ResponseStores,
  id: string,
  owner: string | null,
): StoredResponse | null {
  const turnId = turnOf(id);
  const turn = turnId === null ? undefined : turns.find(turnId);
  const session = turn && !turn.isResponseDeleted ? sessions.find(turn.session) : undefined;
  return turn && session && ownerOf(session) === owner ? { turn, session } : null;
}

/** A response that can be continued. */
function findContinuable(stores: ResponseStores, id: string, owner: string | null): StoredResponse | null {
  const found = findResponse(stores, id, owner);
  return found && !isEphemeral(found.session.source) ? found : null;
}

/** The last item of an input that refers to one of a response that can be continued; null when there is none. */
export function findReference(
  stores: ResponseStores,
  input: ResponsesRequest["input"],
  owner: string | null,
): { readonly id: string; readonly at: number } | null {
  const at = lastReference(input);
  const id = typeof input === "string" ? null : input?.[at]?.id;
  return id && findContinuable(stores, id, owner) ? { id, at } : null;
}

/** The id of the last item of an input that an answer of ours had; null when there is none. */
export function lastOwnItem(input: ResponsesRequest["input"]): string | null {
  if (typeof input === "string") return null;
  return input?.findLast(({ id }) => id && turnOf(id) !== null)?.id ?? null;
}

/** The conversation of the last item of an input that an answer of ours had; null when it is unknown. */
export function findConversation(
  stores: ResponseStores,
  input: ResponsesRequest["input"],
  owner: string | null,
): Identity | null {
  const id = lastOwnItem(input);
  const found = id === null ? null : findContinuable(stores, id, owner);
  return found && recordedIdentity(found.session);
}

/**
 * The conversation that a request continues by the id of a response, or of one of its items.
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
  const found = findContinuable(stores, id, owner);
  if (!found) {
    throw notFound(
      `There is no response ${id.slice(0, 100)} that could be continued. It was deleted, or its request had store: false. Send the whole input.`,
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
