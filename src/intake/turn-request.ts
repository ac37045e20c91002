/** From a chat request to what its conversation is asked. */
import { mkdirSync, realpathSync } from "node:fs";
import { checkImages } from "../api/openai-chat/decoded-image.ts";
import { checkFiles } from "../api/openai-chat/files.ts";
import type { ChatRequest } from "../api/openai-chat/request.ts";
import { openClawHeader } from "../api/openclaw/headers.ts";
import type { OpenClawRequest } from "../api/openclaw/request.ts";
import { isDirectChat } from "../api/openclaw/session-key.ts";
import { splitSystemPrompt } from "../api/openclaw/system-prompt.ts";
import { effortFor, modelFor } from "../claude/models.ts";
import type { Config } from "../config/schema.ts";
import type { QueuedRequest } from "../conversation/conversation.ts";
import { type Identity, oneShotIdentity } from "./identity.ts";
import { readInput } from "./input.ts";
import { formatNote, readFormat } from "./one-shot-request.ts";
import { shapeOf } from "./request-shape.ts";
import { toolOfferOf } from "./tool-offer.ts";
import { workspaceFor } from "./workspace.ts";

/** @throws ApiError (4xx) for what cannot be asked; nothing is begun by then but the workspace's folder */
export function readTurnRequest(
  request: ChatRequest,
  headers: Headers,
  openclaw: OpenClawRequest | null,
  { key, source, agent, affinity }: Identity,
  config: Config,
): Omit<QueuedRequest, "reply"> {
  const input = readInput(request, openclaw);
  // Looked at now, while the request can still be refused.
  const sent = input.messages.filter(({ role }) => role === "user");
  checkImages(sent.flatMap(({ images }) => images));
  checkFiles(sent.flatMap(({ files }) => files));
  const { stable, volatile } = splitSystemPrompt(config.systemPrompt === "ignore" ? "" : input.system);
  return {
    input,
    traceId: traceOf(headers),
    volatile,
    fromOpenClaw: openclaw?.isAttempt === true,
    // Chat front ends and coding agents, which name their chats by a header, always send the whole chat.
    sendsHistory: source === "header" || source === "affinity",
    keepsLaunchOptions: openclaw?.isHeartbeat === true,
    model: modelFor(request.model),
    effort: effortFor(request.reasoning_effort),
    systemPrompt: stable,
    affinity,
    shape: shapeOf(request),
    // Of what OpenClaw asks for itself nobody sees the answer.
    sender: openclaw?.side ? null : senderOf(headers),
    isDirect: isDirectChat(key),
    offer: toolOfferOf(request, openclaw, config),
    workspace: workspaceFor(headers, openclaw?.workingDirectory ?? null, agent, config),
  };
}

/**
 * The same for a conversation of one turn, which nobody can name and of which nothing is kept.
 * @param nowhere an empty folder, made if it is not there
 */
export function readOneShotTurnRequest(
  request: ChatRequest,
  headers: Headers,
  openclaw: OpenClawRequest | null,
  config: Config,
  nowhere: string,
): [identity: Identity, question: Omit<QueuedRequest, "reply">] {
  const identity = oneShotIdentity();
  // Nobody could bring it the results of a tool.
  const own: Config = { ...config, systemPrompt: "replace", clientTools: ["none"] };
  const question = readTurnRequest(request, headers, openclaw, identity, own);
  const offer = { ...question.offer, note: formatNote(readFormat(request)) };
  mkdirSync(nowhere, { recursive: true, mode: 0o700 });
  return [identity, { ...question, offer, workspace: { path: realpathSync(nowhere), trusted: true } }];
}

/** Who has sent a request; null when it does not say so in letters that can be compared by eye. */
function senderOf(headers: Headers): string | null {
  const sender = openClawHeader(headers, "x-openclaw-sender-id")?.trim() ?? "";
  return /^[^\p{C}\p{Zl}\p{Zp}]{1,256}$/u.test(sender) ? sender : null;
}

/** The trace in a `traceparent` header, as W3C's Trace Context has it. */
const traceOf = (headers: Headers): string | null => headers.get("traceparent")?.split("-")[1] || null;
