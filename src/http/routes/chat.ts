/** `POST /v1/chat/completions`: from a request to a reply, and from the reply to SSE or one JSON body. */

import { getLogger } from "@logtape/logtape";
import { type Context, Hono } from "hono";
import { streamSSE } from "hono/streaming";
import { type Completion, completion } from "../../api/openai-chat/chunks.ts";
import { errorBody, errorMessage } from "../../api/openai-chat/error-response.ts";
import { begunAnswer } from "../../api/openai-chat/implied-request.ts";
import { functionsAsTools, usesFunctions } from "../../api/openai-chat/legacy-functions.ts";
import { type ChatRequest, chatRequest } from "../../api/openai-chat/request.ts";
import { checkSize } from "../../api/openai-chat/request-size.ts";
import { findSideRequestForm } from "../../api/openai-chat/side-requests.ts";
import { type OpenClawRequest, readOpenClaw } from "../../api/openclaw/request.ts";
import { DEFAULT_MODEL, effortFor, modelFor } from "../../claude/models.ts";
import type { Config } from "../../config/schema.ts";
import type { ConversationRegistry } from "../../conversation/registry.ts";
import type { ToolCall } from "../../core/tools.ts";
import type { Usage } from "../../core/usage.ts";
import { type Identity, identify } from "../../intake/identity.ts";
import { readOneShotRequest } from "../../intake/one-shot-request.ts";
import { readOneShotTurnRequest, readTurnRequest } from "../../intake/turn-request.ts";
import type { OneShotSpec } from "../../one-shot/process.ts";
import type { OneShots } from "../../one-shot/queue.ts";
import type { SessionStore } from "../../store/sessions.ts";
import { withoutRepeatedStart } from "../../turn/continuation.ts";
import type { ResponsePart, ResponseStream } from "../../turn/response-stream.ts";
import { yieldIfLarge } from "../body.ts";
import { limitIdle } from "../connection-idle.ts";
import type { Env } from "../listen.ts";
import { validJson } from "../validation.ts";

const log = getLogger(["synthesis", "chat"]);

export interface ChatDeps {
  readonly config: Config;
  readonly conversations: ConversationRegistry;
  readonly oneShots: OneShots;
  readonly sessions: SessionStore;
  /** An empty folder, made when it is needed. */
  readonly emptyFolder: string;
}

export function chatRoutes({ config, conversations, oneShots, sessions, emptyFolder }: ChatDeps): Hono<Env> {
  return new Hono<Env>().post(
    "/",
    validJson(chatRequest, checkSize),
    // The request is read in one go from here on: its size was checked for that.
    async (c) => {
      const sent = c.req.valid("json");
      const request = functionsAsTools(sent);
      const { headers } = c.req.raw;
      const openclaw = readOpenClaw(request, headers);
      const named = identify(request, headers, {
        openclaw,
        identityHeader: config.identityHeader,
        identityFallback: config.identityFallback,
        aliasOf: sessions.withAffinity,
      });
      const identity = named && isSideRequest(request, openclaw, named, conversations) ? null : named;
      const reply = identity
        ? conversations.submit(identity, readTurnRequest(request, headers, openclaw, identity, config))
        : config.oneShots === "interactive"
          ? conversations.submit(...readOneShotTurnRequest(request, headers, openclaw, config, emptyFolder))
          : oneShots.ask(await readOneShot(request, c.req.raw));

      // Bun ends a connection after 10 quiet seconds; a turn may well be quiet for longer.
      c.env.server.timeout(c.req.raw, 0);
      c.req.raw.signal.addEventListener("abort", () => reply.disconnect());
      if (c.req.raw.signal.aborted) reply.disconnect();
      // A client that streams is to see heartbeats. Any other gets its status with its answer.
      if (request.stream === true) reply.openAfter(config.sseHeartbeatMs);
      try {
        await reply.opened;
      } catch (error) {
        // OpenClaw would do the work again after an error status.
        if (!openclaw || !reply.isSent || reply.disconnected.aborted) throw error;
      }
      // A header holds bytes only.
      c.header("x-synthesis-session", identity ? encodeURI(identity.key) : "stateless");
      c.header("x-synthesis-process", reply.processOrigin);
      c.header("x-request-id", reply.id);

      const begun = openclaw ? null : begunAnswer(request.messages);
      const all = openclaw ? errorsAsText(reply) : reply.parts();
      const parts = begun === null ? all : withoutRepeatedStart(all, begun);
      const includeUsage = request.stream_options?.include_usage === true;
      const created = Math.floor(Date.now() / 1000);
      const answer = completion(created, request.model || DEFAULT_MODEL, includeUsage, usesFunctions(sent));
      return request.stream === true
        ? streamReply(c, parts, answer, {
            includeUsage,
            heartbeatMs: config.sseHeartbeatMs,
            onAbort: () => reply.disconnect(),
          })
        : wholeReply(c, parts, answer);
    },
  );
}

/** A request as it is answered without a conversation. To start it takes as long again for large images. */
async function readOneShot(request: ChatRequest, sent: Request): Promise<OneShotSpec> {
  const question = {
    ...readOneShotRequest(request),
    model: modelFor(request.model),
    effort: effortFor(request.reasoning_effort),
  };
  await yieldIfLarge(sent);
  return question;
}

/**
 * Whether a chat program asks something for itself beside the conversation that it names. OpenClaw's own requests
 * have rules of their own.
 */
function isSideRequest(
  request: ChatRequest,
  openclaw: OpenClawRequest | null,
  { key }: Identity,
  conversations: ConversationRegistry,
): boolean {
  if (openclaw?.isAttempt || openclaw?.side) return false;
  const form = findSideRequestForm(request);
  if (form === null && !conversations.find(key)?.isSideRequest(request)) return false;
  log.info("a side request is answered apart", { session: key, client: form?.client, purpose: form?.purpose });
  return true;
}

type Parts = AsyncIterable<readonly ResponsePart[]>;

/**
 * OpenClaw asks again after an error, and all that was done would be done twice. So once claude has the
 * message an error ends the answer as a text does.
 */
async function* errorsAsText(reply: ResponseStream): AsyncGenerator<readonly ResponsePart[]> {
  let spoken = false;
  for await (const parts of reply.parts()) {
    yield parts.flatMap((part): ResponsePart[] => {
      // This reason would fail its run, and its person would see none of the words.
      if (part.type === "finish" && part.reason === "content_filter") return [{ type: "finish" }];
      if (part.type !== "error" || !reply.isSent) {
        spoken ||= part.type === "text";
        return [part];
      }
      const text = `${spoken ? "\n\n" : ""}[synthesis: ${errorMessage(part.error)}]`;
      return [{ type: "text", text }, { type: "finish" }];
    });
  }
}

function streamReply(
  c: Context<Env>,
  reply: Parts,
  answer: Completion,
  { includeUsage, heartbeatMs, onAbort }: { includeUsage: boolean; heartbeatMs: number; onAbort: () => void },
): Response {
  return streamSSE(c, async (stream) => {
    stream.onAbort(onAbort);
    let writing = false;
    let lastWrite = performance.now();
    /** Several events at once cost as much as one: Hono's own writeSSE takes them one by one. */
    const write = async (...events: string[]) => {
      writing = true;
      await stream.write(events.map((data) => `data: ${data}\n\n`).join(""));
      writing = false;
      lastWrite = performance.now();
    };
    const beat = setInterval(() => {
      if (performance.now() - lastWrite < heartbeatMs) return;
      if (!writing) void write(answer.heartbeat());
      // A write that takes this long has a reader that no longer reads: let Bun end the connection.
      else c.env.server.timeout(c.req.raw, 1);
    }, heartbeatMs / 3);
    const event = (part: ResponsePart): string | string[] | null => {
      switch (part.type) {
        case "text":
          return answer.text(part.text);
        case "progress":
          return answer.progress(part.text);
        case "calls":
          return [...answer.calls(part.calls)];
        case "error":
          return JSON.stringify(errorBody(part.error));
        case "finish":
          return answer.finish(part.reason ?? "stop");
        case "usage":
          return includeUsage ? answer.usage(part.usage) : null;
      }
    };
    try {
      // At once: the client sees that it is heard.
      await write(answer.role());
      for await (const parts of reply) {
        // The figures come later; a client that did not ask for them need not wait, nor one that has an error.
        const end = parts.findIndex(
          ({ type }) => type === "error" || (!includeUsage && (type === "finish" || type === "calls")),
        );
        const over = end >= 0;
        const events = (over ? parts.slice(0, end + 1) : parts).flatMap((part) => event(part) ?? []);
        if (over) events.push("[DONE]");
        if (events.length > 0) await write(...events);
        if (over) return;
      }
      await write("[DONE]");
    } finally {
      clearInterval(beat);
      limitIdle(c);
    }
  });
}

async function wholeReply(c: Context<Env>, reply: Parts, answer: Completion): Promise<Response> {
  let content = "";
  let progress = "";
  let calls: readonly ToolCall[] = [];
  let reason: "stop" | "length" | "content_filter" = "stop";
  let usage: Usage | null = null;
  for await (const parts of reply) {
    for (const part of parts) {
      if (part.type === "error") throw part.error;
      if (part.type === "text") content += part.text;
      if (part.type === "progress") progress += part.text;
      if (part.type === "calls") calls = part.calls;
      if (part.type === "finish") reason = part.reason ?? "stop";
      if (part.type === "usage") usage = part.usage;
    }
  }
  return c.json(answer.whole({ content, progress, calls, reason, usage }));
}
