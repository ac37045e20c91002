/**
 * Passes a request on: to the conversation that it names, or else to an unnamed chat or a one-shot. All dialects of the
 * clients come through here.
 */
import { getLogger } from "@logtape/logtape";
import { readFormat } from "../api/openai-chat/response-format.ts";
import { findSideRequestForm } from "../api/openai-chat/side-requests.ts";
import { toolsOf } from "../api/openai-chat/tools.ts";
import type { ConversationRegistry } from "../conversation/registry.ts";
import { type Identity, oneShotIdentity, unnamedIdentity } from "../intake/identity.ts";
import { type OneShotRequest, readOneShotRequest } from "../intake/one-shot-request.ts";
import type { ParsedRequest } from "../intake/parsed-request.ts";
import {
  readOneShotTurnRequest,
  readResponseTurnRequest,
  readTurnRequest,
  readUnnamedTurnRequest,
} from "../intake/turn-request.ts";
import type { OneShotQueue } from "../one-shot/queue.ts";
import type { ResponseStream } from "../turn/response-stream.ts";
import { yieldIfLarge } from "./body.ts";
import type { Caller } from "./callers.ts";

const log = getLogger(["synthesis", "chat"]);

export interface SubmitDeps {
  readonly conversations: ConversationRegistry;
  readonly oneShots: OneShotQueue;
  /** An empty folder, created when it is needed. */
  readonly emptyFolder: string;
}

/** Where a request has gone. */
interface Submission {
  readonly response: ResponseStream;
  /** The conversation that got it; null for an unnamed chat or a one-shot. */
  readonly identity: Identity | null;
}

/**
 * @param named the conversation that the request names; null when it names none
 * @param sent the HTTP request
 * @throws RequestError for a request that cannot be served
 */
export type Submit = (
  request: ParsedRequest,
  named: Identity | null,
  caller: Pick<Caller, "name" | "config">,
  sent: Request,
) => Promise<Submission>;

export function createSubmit({ conversations, oneShots, emptyFolder }: SubmitDeps): Submit {
  /**
   * Submits a request that belongs to no conversation. It needs an unnamed chat if it has tools or a result, or if its
   * process should linger. Any other request is answered as a one-shot.
   * @param isSide it is a side request about a conversation
   */
  async function submitUnnamed(
    request: ParsedRequest,
    { name: owner, config }: Pick<Caller, "name" | "config">,
    sent: Request,
    isSide: boolean,
  ): Promise<ResponseStream> {
    const { body, openclaw, prefill, system } = request;
    if (config.oneShots === "interactive") {
      return conversations.submitUnnamed(
        request,
        readOneShotTurnRequest(request, oneShotIdentity(owner), config, emptyFolder),
        false,
      );
    }
    const isOrdinary = !isSide && openclaw === null && findSideRequestForm(body, system) === null;
    const mayLinger =
      isOrdinary && prefill === null && readFormat(body).type === "text" && conversations.expectsNext(request);
    // A client may take its tools back with the result, so that the next answer is the last one.
    const hasResult = request.messages.at(-1)?.role === "tool";
    const usesTools = openclaw === null && (hasResult || toolsOf(body).length > 0);
    if (!usesTools && !mayLinger) return oneShots.submit(await readOneShot(request, sent));
    const turnRequest = readUnnamedTurnRequest(request, unnamedIdentity(owner), config, emptyFolder);
    // Writing large images to the process takes as long as reading them did, so other requests run in between.
    await yieldIfLarge(sent);
    return conversations.submitUnnamed(request, turnRequest, mayLinger);
  }

  return async (request, named, caller, sent) => {
    if (named?.source === "response") {
      const turnRequest = readResponseTurnRequest(request, named, caller.config, emptyFolder);
      // Writing large images to the process takes as long as reading them did, so other requests run in between.
      await yieldIfLarge(sent);
      return conversations.submitResponse(request, named, turnRequest);
    }
    const identity = named && isSideRequest(request, named, conversations) ? null : named;
    const response = identity
      ? conversations.submit(identity, readTurnRequest(request, identity, caller.config))
      : await submitUnnamed(request, caller, sent, named !== null);
    return { response, identity };
  };
}

/** Reads a request that is answered as a one-shot. */
async function readOneShot(request: ParsedRequest, sent: Request): Promise<OneShotRequest> {
  const oneShot = readOneShotRequest(request);
  // Writing large images to the process takes as long as reading them did, so other requests run in between.
  await yieldIfLarge(sent);
  return oneShot;
}

/**
 * Whether this is a side request: the client asks for something of its own, such as a title, and names the conversation
 * that it is about. OpenClaw's own side requests have no identity here: `identify` returns null for them.
 */
function isSideRequest(request: ParsedRequest, { key }: Identity, conversations: ConversationRegistry): boolean {
  const { body, system, openclaw } = request;
  if (openclaw?.isAttempt || openclaw?.side) return false;
  const form = findSideRequestForm(body, system);
  if (form === null && !conversations.find(key)?.isSideRequest(request)) return false;
  log.info("side request answered as a one-shot", { session: key, client: form?.client, purpose: form?.purpose });
  return true;
}
