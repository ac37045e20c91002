/** `/v1/responses`: OpenAI's API of responses. */
import { getLogger } from "@logtape/logtape";
import { type Context, Hono } from "hono";
import { withFieldNames } from "../../api/field-names.ts";
import { chatForm } from "../../api/openai-responses/chat-form.ts";
import { responseWriter } from "../../api/openai-responses/events.ts";
import { responseId, turnOf } from "../../api/openai-responses/ids.ts";
import { type ResponsesRequest, responsesRequest } from "../../api/openai-responses/request.ts";
import { checkSize } from "../../api/openai-responses/request-size.ts";
import { responseBody } from "../../api/openai-responses/response-body.ts";
import { DEFAULT_MODEL } from "../../claude/models.ts";
import type { ConversationRegistry } from "../../conversation/registry.ts";
import { RequestError } from "../../core/errors.ts";
import { type Identify, responseIdentity } from "../../intake/identity.ts";
import { parseRequest } from "../../intake/parsed-request.ts";
import type { SessionStore } from "../../store/sessions.ts";
import type { TurnStore } from "../../store/turns.ts";
import type { Answer } from "../answer.ts";
import type { Env } from "../env.ts";
import type { OwnerNode } from "../owner-node.ts";
import {
  continuedConversation,
  findConversation,
  findReference,
  findResponse,
  lastOwnItem,
  type StoredResponse,
} from "../stored-responses.ts";
import { validJson } from "../validation.ts";

const log = getLogger(["synthesis", "chat"]);

export interface ResponsesDeps {
  readonly ownerNode: OwnerNode;
  readonly conversations: Pick<ConversationRegistry, "interruptTurn" | "record" | "remove">;
  readonly sessions: SessionStore;
  readonly turns: TurnStore;
}

export function responsesRoutes(deps: ResponsesDeps, identify: Identify, answer: Answer): Hono<Env> {
  const { ownerNode } = deps;
  const find = (c: Context<Env>): StoredResponse => {
    const id = c.req.param("id") ?? "";
    const found = findResponse(deps, id, c.var.caller.name);
    if (found) return found;
    throw new RequestError("response_not_found", `There is no response ${id.slice(0, 100)}.`, { param: "response_id" });
  };
  const refuseToRead = (c: Context<Env>): never => {
    find(c);
    throw new RequestError(
      "invalid_request",
      "A response cannot be read again, because synthesis stores no text. Keep what the request was answered with.",
    );
  };

  return new Hono<Env>()
    .post("/", validJson(responsesRequest, checkSize), (c) =>
      ownerNode.ofTurn(c, namedTurn(c.req.valid("json")), () => create(c, c.req.valid("json"))),
    )
    .get("/:id", (c) => ownerNode.ofTurn(c, turnOf(c.req.param("id")), () => refuseToRead(c)))
    .get("/:id/input_items", (c) => ownerNode.ofTurn(c, turnOf(c.req.param("id")), () => refuseToRead(c)))
    .delete("/:id", (c) => ownerNode.ofTurn(c, turnOf(c.req.param("id")), () => remove(c)))
    .post("/:id/cancel", (c) => ownerNode.ofTurn(c, turnOf(c.req.param("id")), () => cancel(c)));

  async function create(c: Context<Env>, sent: ResponsesRequest): Promise<Response> {
    const { conversation, previous_response_id: previous } = sent;
    if (conversation && previous) {
      throw new RequestError(
        "invalid_request",
        "previous_response_id must be left out, because conversation names the conversation already.",
        { param: "previous_response_id" },
      );
    }
    const owner = c.var.caller.name;
    const known = findReference(deps, sent.input, owner);
    const { body, fieldName } = chatForm(sent, known ? known.at + 1 : 0);
    const request = parseRequest(body, c.req.raw.headers);
    const named = await identify(request, owner, typeof conversation === "object" ? conversation?.id : conversation);
    const continued = previous ?? known?.id;
    const identity = continued
      ? continuedConversation(deps, continued, owner, named)
      : (named ??
        (sent.store === false ? null : (findConversation(deps, sent.input, owner) ?? responseIdentity(owner))));
    try {
      return await answer(c, request, identity, (response) => {
        const created = Math.floor(Date.now() / 1000);
        const id = () => responseId(response.turn.id, response.turn.answer);
        return responseWriter(() => ({ id: id(), created, model: sent.model || DEFAULT_MODEL }), sent);
      });
    } catch (error) {
      throw withFieldNames(error, fieldName);
    }
  }

  async function remove(c: Context<Env>): Promise<Response> {
    const { turn, session } = find(c);
    const hasOthers = deps.turns.deleteResponse(turn);
    // Nothing else could name the conversation, so its text goes with its last response.
    if (session.source === "response" && !hasOthers) await deps.conversations.remove(session, true);
    else await deps.conversations.record(session);
    log.info("response deleted by its client", { session: session.key });
    return c.json({ id: c.req.param("id"), object: "response", deleted: true });
  }

  async function cancel(c: Context<Env>): Promise<Response> {
    const id = c.req.param("id") ?? "";
    const error = new RequestError(
      "turn_interrupted",
      "This response was cancelled. Send the message again to continue.",
    );
    const owner = c.var.caller.name;
    // A request that waits has no record yet.
    const cancelled = deps.conversations.interruptTurn(turnOf(id) ?? "", owner, error);
    if (cancelled === null) {
      // One that waits on another node has no record, by which its node would be found.
      const elsewhere = findResponse(deps, id, owner) ? null : await ownerNode.elsewhere(c);
      if (elsewhere) return elsewhere;
      find(c);
      throw new RequestError("invalid_request", "This response has ended, so there is nothing to cancel.");
    }
    log.info("response cancelled by its client", { session: cancelled.key });
    const { turn, session } = findResponse(deps, id, owner) ?? {};
    const created = Math.floor((turn?.sentAt ?? Date.now()) / 1000);
    const head = { id, created, model: session?.model ?? DEFAULT_MODEL };
    return c.json(responseBody(head, responsesRequest.parse({}), [], { status: "cancelled" }, null));
  }
}

/** The turn of the response, or of the last item of one, that a request continues; null when it names none. */
function namedTurn({ previous_response_id: previous, input }: ResponsesRequest): string | null {
  const id = previous ?? lastOwnItem(input);
  return id ? turnOf(id) : null;
}
