/**
 * `POST /v1/chat/completions`: reads a chat request, finds the conversation it belongs to, passes it on and sends the
 * response. A request that names no conversation continues an unnamed chat, or is answered as a one-shot.
 */
import { getLogger } from "@logtape/logtape";
import { Hono } from "hono";
import { completion } from "../../api/openai-chat/chunks.ts";
import { chatRequest } from "../../api/openai-chat/request.ts";
import { checkSize } from "../../api/openai-chat/request-size.ts";
import { readFormat } from "../../api/openai-chat/response-format.ts";
import { findSideRequestForm } from "../../api/openai-chat/side-requests.ts";
import { toolsOf } from "../../api/openai-chat/tools.ts";
import { DEFAULT_MODEL } from "../../claude/models.ts";
import type { Config } from "../../config/schema.ts";
import type { ConversationRegistry } from "../../conversation/registry.ts";
import { type Identity, identify } from "../../intake/identity.ts";
import { type OneShotRequest, readOneShotRequest } from "../../intake/one-shot-request.ts";
import { type ParsedRequest, parseRequest } from "../../intake/parsed-request.ts";
import { readOneShotTurnRequest, readTurnRequest, readUnnamedTurnRequest } from "../../intake/turn-request.ts";
import type { SchemaChecker } from "../../json-schema/checker.ts";
import type { OneShotQueue } from "../../one-shot/queue.ts";
import type { SessionStore } from "../../store/sessions.ts";
import { withoutPrefillEcho } from "../../turn/prefill-echo.ts";
import type { ResponseStream } from "../../turn/response-stream.ts";
import { yieldIfLarge } from "../body.ts";
import { errorsAsText, streamResponse, wholeResponse } from "../chat-response.ts";
import type { Env } from "../env.ts";
import { disableIdleTimeout } from "../idle-timeout.ts";
import { validJson } from "../validation.ts";

const log = getLogger(["synthesis", "chat"]);

export interface ChatDeps {
  readonly config: Config;
  readonly conversations: ConversationRegistry;
  readonly oneShots: OneShotQueue;
  readonly sessions: SessionStore;
  /** Checks answers that must fit a JSON Schema. */
  readonly checker: SchemaChecker;
  /** An empty folder, created when it is needed. */
  readonly emptyFolder: string;
}

export function chatRoutes({ config, conversations, oneShots, sessions, checker, emptyFolder }: ChatDeps): Hono<Env> {
  /**
   * Submits a request that belongs to no conversation. It needs an unnamed chat if it has tools or a result, or if its
   * process should linger. Any other request is answered as a one-shot.
   * @param isSide it is a side request about a conversation
   */
  async function submitUnnamed(request: ParsedRequest, sent: Request, isSide: boolean): Promise<ResponseStream> {
    const { body, openclaw, prefill, system } = request;
    if (config.oneShots === "interactive") {
      return conversations.submitUnnamed(request, readOneShotTurnRequest(request, config, emptyFolder), false);
    }
    const isOrdinary = !isSide && openclaw === null && findSideRequestForm(body, system) === null;
    const mayLinger =
      isOrdinary && prefill === null && readFormat(body).type === "text" && conversations.expectsNext(request);
    // A client may take its tools back with the result, so that the next answer is the last one.
    const hasResult = request.messages.at(-1)?.role === "tool";
    const usesTools = openclaw === null && (hasResult || toolsOf(body).length > 0);
    if (!usesTools && !mayLinger) return oneShots.submit(await readOneShot(request, sent));
    const turnRequest = readUnnamedTurnRequest(request, config, emptyFolder);
    // Writing large images to the process takes as long as reading them did, so other requests run in between.
    await yieldIfLarge(sent);
    return conversations.submitUnnamed(request, turnRequest, mayLinger);
  }

  // `checkSize` limits a request, so that reading it here does not block other requests for long.
  return new Hono<Env>().post("/", validJson(chatRequest, checkSize), async (c) => {
    const { headers, signal } = c.req.raw;
    const request = parseRequest(c.req.valid("json"), headers);
    const { body, openclaw } = request;
    const format = readFormat(body);
    const named = identify(request, {
      identityHeader: config.identityHeader,
      identityFallback: config.identityFallback,
      aliasOf: sessions.keyWithAffinity,
    });
    const identity = named && isSideRequest(request, named, conversations) ? null : named;
    const response = identity
      ? conversations.submit(identity, readTurnRequest(request, identity, config))
      : await submitUnnamed(request, c.req.raw, named !== null);

    // Claude works meanwhile.
    const schemaCheck = format.type === "json" && format.schema ? checker.check(format.schema, null) : null;
    const includeUsage = body.stream_options?.include_usage === true;
    response.wantsUsage = includeUsage || body.stream !== true;
    disableIdleTimeout(c);
    signal.addEventListener("abort", () => response.disconnect());
    if (signal.aborted) response.disconnect();
    // A streaming client needs heartbeats while it waits. Any other client gets its status together with the answer.
    if (body.stream === true) response.openAfter(config.sseHeartbeatMs);
    try {
      await response.opened;
    } catch (error) {
      // OpenClaw repeats a request that failed. Once Claude has the message, the error is sent as text instead.
      if (!openclaw || !response.isSent || response.disconnected.aborted) throw error;
    }
    // A session key may hold any character, a header value only ASCII.
    c.header("x-synthesis-session", identity ? encodeURI(identity.key) : "stateless");
    c.header("x-synthesis-process", response.processOrigin);
    c.header("x-request-id", response.id);

    const prefill = openclaw ? null : request.prefill;
    const all = openclaw ? errorsAsText(response) : response.parts();
    const parts = prefill === null ? all : withoutPrefillEcho(all, prefill);
    const created = Math.floor(Date.now() / 1000);
    const answer = completion(created, body.model || DEFAULT_MODEL, includeUsage, request.usesFunctions);
    if (body.stream !== true) return withUnchecked(await wholeResponse(c, parts, answer), response.unchecked);
    const known = response.unchecked.length > 0 ? response.unchecked : ((await schemaCheck)?.leftOut ?? []);
    const streamed = streamResponse(c, parts, answer, {
      includeUsage,
      heartbeatMs: config.sseHeartbeatMs,
      onDisconnect: () => response.disconnect(),
    });
    return withUnchecked(streamed, known);
  });
}

/** The length of the header in characters. A schema can have any number of parts that are not checked. */
const MAX_UNCHECKED = 1_000;

/** The response with a header that names the parts of the client's JSON Schema that the answer is not checked against. */
function withUnchecked(response: Response, unchecked: readonly string[]): Response {
  if (unchecked.length === 0) return response;
  log.warning("response_format checked only in part", { leftOut: unchecked.length });
  // A JSON pointer may hold any character, a header value only ASCII.
  const value = unchecked.join("; ").slice(0, MAX_UNCHECKED).toWellFormed();
  response.headers.set("x-synthesis-unchecked", value.replace(/[^\x20-\x7e]/gu, encodeURIComponent));
  return response;
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
