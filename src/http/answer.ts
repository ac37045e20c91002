/** Answers a request in the dialect of its client. All dialects of the clients come through here. */
import { getLogger } from "@logtape/logtape";
import type { Context } from "hono";
import type { AnswerWriter } from "../api/answer-writer.ts";
import { readFormat } from "../api/openai-chat/response-format.ts";
import { failoverResponse, letsFailOver } from "../api/openclaw/failover.ts";
import type { Config } from "../config/schema.ts";
import { plainId } from "../core/tools.ts";
import { type Identity, rootOf } from "../intake/identity.ts";
import type { ParsedRequest } from "../intake/parsed-request.ts";
import type { SchemaChecker } from "../json-schema/checker.ts";
import type { RecentErrors } from "../live/recent-errors.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { withoutPrefillEcho } from "../turn/prefill-echo.ts";
import type { ResponseStream } from "../turn/response-stream.ts";
import type { Env } from "./env.ts";
import { errorsAsText } from "./errors-as-text.ts";
import { disableIdleTimeout } from "./idle-timeout.ts";
import type { OwnerNode } from "./owner-node.ts";
import { streamAnswer, wholeAnswer } from "./send-answer.ts";
import { createSubmit, type SubmitDeps } from "./submit.ts";

const log = getLogger(["synthesis", "chat"]);

export interface AnswerDeps extends SubmitDeps {
  readonly ownerNode: Pick<OwnerNode, "at" | "ofCalls">;
  readonly config: Pick<Config, "sseHeartbeatMs">;
  /** Checks answers that must fit a JSON Schema. */
  readonly checker: SchemaChecker;
  readonly metrics: Pick<Metrics, "noteError">;
  /** Is given the errors that clients receive. */
  readonly errors: Pick<RecentErrors, "note">;
}

/**
 * @param named the conversation that the request names; null when it names none
 * @param writerFor makes the writer of the answer
 * @throws RequestError for a request that cannot be served, or fails before its answer has begun
 */
export type Answer = (
  c: Context<Env>,
  request: ParsedRequest,
  named: Identity | null,
  writerFor: (response: ResponseStream) => AnswerWriter,
) => Promise<Response>;

export function createAnswer(deps: AnswerDeps): Answer {
  const { config, checker, metrics, errors } = deps;
  const submit = createSubmit(deps);

  return (c, request, named, writerFor) => {
    const serve = (keep: () => () => void) => answerHere(keep, c, request, named, writerFor);
    const { ownerNode } = deps;
    const atOwner = () => (named ? ownerNode.at(c, rootOf(named), serve) : serve(() => () => {}));
    // Other names find the conversation wherever it is.
    return named === null || named.source === "response"
      ? ownerNode.ofCalls(c, lastCalls(request), atOwner)
      : atOwner();
  };

  async function answerHere(
    keep: () => () => void,
    ...[c, request, named, writerFor]: Parameters<Answer>
  ): Promise<Response> {
    const release = c.var.caller.begin();
    let isStreaming = false;
    try {
      const { response, identity } = await submit(request, named, c.var.caller, c.req.raw);
      c.set("response", response);
      void response.failed.then((error) => {
        metrics.noteError(error.code);
        errors.note(error, identity?.key ?? null);
      });
      // Claude works meanwhile.
      const { body, openclaw, prefill } = request;
      const format = readFormat(body);
      const schemaCheck = format.type === "json" && format.schema ? checker.check(format.schema, null) : null;
      const isStreamed = body.stream === true;
      const writer = writerFor(response);
      response.wantsUsage = writer.hasUsage || !isStreamed;
      const failover = await open(c, response, { isStreamed, isOpenClaw: openclaw !== null });
      if (failover) return failover;
      // A session key may hold any character, a header value only ASCII.
      c.header("x-synthesis-session", identity ? encodeURI(identity.key) : "stateless");
      c.header("x-synthesis-process", response.processOrigin);
      c.header("x-request-id", response.id);

      const all = openclaw ? errorsAsText(response) : response.parts();
      const parts = openclaw || prefill === null ? all : withoutPrefillEcho(all, prefill);
      if (!isStreamed) return withUnchecked(await wholeAnswer(c, parts, writer), response.unchecked);
      const known = response.unchecked.length > 0 ? response.unchecked : ((await schemaCheck)?.leftOut ?? []);
      // The end of the answer is sent after it is recorded, for which the conversation must still be here.
      const leave = keep();
      const streamed = streamAnswer(c, parts, writer, {
        heartbeatMs: config.sseHeartbeatMs,
        onDisconnect: () => response.disconnect(),
        onEnd: () => {
          release();
          leave();
        },
      });
      isStreaming = true;
      return withUnchecked(streamed, known);
    } finally {
      if (!isStreaming) release();
    }
  }

  /**
   * Waits until a response can begin.
   * @returns a response in its place, with which OpenClaw asks its next model
   * @throws RequestError when the request fails before its answer
   */
  async function open(
    c: Context<Env>,
    response: ResponseStream,
    { isStreamed, isOpenClaw }: { readonly isStreamed: boolean; readonly isOpenClaw: boolean },
  ): Promise<Response | null> {
    const { signal } = c.req.raw;
    disableIdleTimeout(c);
    signal.addEventListener("abort", () => response.disconnect());
    if (signal.aborted) response.disconnect();
    // A streaming client needs heartbeats while it waits. Any other client gets its status together with the answer.
    if (isStreamed) response.openAfter(config.sseHeartbeatMs);
    try {
      await response.opened;
    } catch (error) {
      if (!isOpenClaw || response.disconnected.aborted) throw error;
      if (letsFailOver(error)) return failoverResponse(error);
      // OpenClaw repeats a request that failed. Once Claude has the message, the error is sent as text instead.
      if (!response.isSent) throw error;
    }
    return null;
  }
}

/** The ids of the calls whose results end a request. */
function lastCalls({ messages }: ParsedRequest): string[] {
  const before = messages.findLastIndex(({ role }) => role === "assistant");
  const results = messages.slice(before + 1).filter(({ role }) => role === "tool");
  return results.map(({ message }) => plainId(message.tool_call_id ?? ""));
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
