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
import type { Config, Effort } from "../config/schema.ts";
import { type Affinity, type Identity, oneShotIdentity } from "./identity.ts";
import { type Input, readInput } from "./input.ts";
import { formatNote, readFormat } from "./one-shot-request.ts";
import { type RequestShape, shapeOf } from "./request-shape.ts";
import { type ToolOffer, toolOfferOf } from "./tool-offer.ts";
import { type Workspace, workspaceFor } from "./workspace.ts";

/** What a client asks of a conversation: the work of one turn. */
export interface TurnRequest {
  readonly input: Input;
  /** The trace id of the client's `traceparent` header. OpenClaw sends the same one with each retry of a run. */
  readonly traceId: string | null;
  /** The part of the client's system prompt that stays the same; empty when the client sends none. */
  readonly systemPrompt: string;
  /** The part of the system prompt that may differ with every request; empty when there is none. */
  readonly volatile: string;
  /** OpenClaw sent the request. It sends the history without messages that it drops, such as heartbeats. */
  readonly fromOpenClaw: boolean;
  /** The client is of a kind that always sends the whole history. */
  readonly sendsHistory: boolean;
  /** The request is not worth a restart: a process that runs already keeps its launch options. */
  readonly keepsLaunchOptions: boolean;
  readonly workspace: Workspace;
  /** Null for Claude's own default. */
  readonly model: string | null;
  /** Null for the configured one. */
  readonly effort: Effort | null;
  readonly offer: ToolOffer;
  /** The id of the person who sent the message; null when the client does not name one. */
  readonly sender: string | null;
  /** The chat has only one person in it. */
  readonly isDirect: boolean;
  /** OpenClaw's own id of the session. */
  readonly affinity: Affinity | null;
  readonly shape: RequestShape;
}

/** @throws ApiError (4xx) for what cannot be asked; nothing is begun by then but the workspace's folder */
export function readTurnRequest(
  request: ChatRequest,
  headers: Headers,
  openclaw: OpenClawRequest | null,
  { key, source, agent, affinity }: Identity,
  config: Config,
): TurnRequest {
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
 * @param emptyFolder an empty folder, made if it is not there
 */
export function readOneShotTurnRequest(
  request: ChatRequest,
  headers: Headers,
  openclaw: OpenClawRequest | null,
  config: Config,
  emptyFolder: string,
): [identity: Identity, turnRequest: TurnRequest] {
  const identity = oneShotIdentity();
  // Nobody could bring it the results of a tool.
  const own: Config = { ...config, systemPrompt: "replace", clientTools: ["none"] };
  const turnRequest = readTurnRequest(request, headers, openclaw, identity, own);
  const offer = { ...turnRequest.offer, note: formatNote(readFormat(request)) };
  mkdirSync(emptyFolder, { recursive: true, mode: 0o700 });
  return [identity, { ...turnRequest, offer, workspace: { path: realpathSync(emptyFolder), trusted: true } }];
}

/** Who has sent a request; null when it does not say so in letters that can be compared by eye. */
function senderOf(headers: Headers): string | null {
  const sender = openClawHeader(headers, "x-openclaw-sender-id")?.trim() ?? "";
  return /^[^\p{C}\p{Zl}\p{Zp}]{1,256}$/u.test(sender) ? sender : null;
}

/** The trace in a `traceparent` header, as W3C's Trace Context has it. */
const traceOf = (headers: Headers): string | null => headers.get("traceparent")?.split("-")[1] || null;
