/** A turn request: what a client asks of a conversation, read from its chat request. */
import { mkdirSync, realpathSync } from "node:fs";
import { type AnswerFormat, formatNote, readFormat } from "../api/openai-chat/response-format.ts";
import { openClawHeader } from "../api/openclaw/headers.ts";
import { isDirectChat } from "../api/openclaw/session-key.ts";
import { effortFor, modelFor } from "../claude/models.ts";
import type { Config, Effort } from "../config/schema.ts";
import { unnamedConfig } from "../config/unnamed.ts";
import type { Block, DialogueTurn } from "../core/dialogue.ts";
import { RequestError } from "../core/errors.ts";
import type { ClaudeTools } from "../core/tools.ts";
import { claudeToolsFor } from "./claude-tools.ts";
import { readDialogue } from "./dialogue.ts";
import { type Affinity, type Identity, nameOf, ownerOf } from "./identity.ts";
import { type Input, readInput } from "./input.ts";
import type { ParsedRequest } from "./parsed-request.ts";
import { type RequestShape, shapeOf } from "./request-shape.ts";
import { type ToolOffer, toolOfferOf } from "./tool-offer.ts";
import { type Workspace, workspaceFor } from "./workspace.ts";

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
  /** A process that runs already keeps its launch options, because the request is not worth a restart. */
  readonly keepsLaunchOptions: boolean;
  readonly workspace: Workspace;
  /** Null for Claude's own default. */
  readonly model: string | null;
  /** Null for the configured one. */
  readonly effort: Effort | null;
  readonly offer: ToolOffer;
  /** Null when the request says nothing about them, because it has no tools: then they stay as they were. */
  readonly claudeTools: ClaudeTools | null;
  readonly format: AnswerFormat;
  /** The beginning of the answer, which the client gives and Claude continues; null when there is none. */
  readonly prefill: string | null;
  /** The id of the person who sent the message; null when the client does not name one. */
  readonly sender: string | null;
  /** The chat has only one person in it. */
  readonly isDirect: boolean;
  /** OpenClaw's session id. */
  readonly affinity: Affinity | null;
  /** The name of the chat key that the request was sent with; null for the server's own. */
  readonly owner: string | null;
  readonly shape: RequestShape;
  /** For a request that names no conversation: its messages, as real messages. Null for all others. */
  readonly dialogue: (() => Dialogue) | null;
  /** The turn that the request continues; absent when the request does not say. Later turns then no longer count. */
  readonly previousTurn?: string;
  /** The conversation's process knows everything of the dialogue but its last message, or gets what has changed with it. */
  readonly continuesDialogue: boolean;
}

/** The messages of a request that names no conversation. */
export interface Dialogue {
  /** What was said before. */
  readonly history: readonly DialogueTurn[];
  /** The message to answer. */
  readonly message: readonly Block[];
  /** The same for a Claude that has the history: results are described in text, because their calls have ended. */
  readonly messageAlone: () => readonly Block[];
}

const NO_SYSTEM_PROMPT = { stable: "", volatile: "" };

/**
 * Reads what a request asks of its conversation.
 * @param workspace if the request does not decide it; otherwise its folder is created if it does not exist
 * @throws RequestError for a request that cannot be served
 */
export function readTurnRequest(
  request: ParsedRequest,
  identity: Identity,
  config: Config,
  workspace?: Workspace,
): TurnRequest {
  const { body, headers, openclaw } = request;
  const { source, agent, affinity, previousTurn } = identity;
  const { stable, volatile } = config.systemPrompt === "ignore" ? NO_SYSTEM_PROMPT : request.systemPrompt;
  return {
    input: readInput(request),
    traceId: traceOf(headers),
    volatile,
    fromOpenClaw: openclaw?.isAttempt === true,
    // Chat programs and coding agents name their conversations by a header, and always send the whole history.
    sendsHistory: source === "header" || source === "affinity",
    keepsLaunchOptions: openclaw?.isHeartbeat === true,
    model: modelFor(body.model),
    effort: effortFor(body.reasoning_effort),
    systemPrompt: stable,
    affinity,
    shape: shapeOf(request),
    // No person sees the answer to a side request, so no person can answer a permission prompt in it.
    sender: openclaw?.side ? null : senderOf(headers),
    isDirect: isDirectChat(nameOf(identity)),
    owner: ownerOf(identity),
    offer: toolOfferOf(request, config),
    claudeTools: claudeToolsFor(request, agent, config),
    format: readFormat(body),
    prefill: request.prefill,
    workspace: workspace ?? workspaceFor(headers, openclaw?.workingDirectory ?? null, agent, config),
    ...(previousTurn === undefined ? {} : { previousTurn }),
    dialogue: null,
    continuesDialogue: false,
  };
}

/**
 * Reads a request that names no conversation.
 * @param emptyFolder where the process works; created if it does not exist
 */
export function readUnnamedTurnRequest(
  request: ParsedRequest,
  identity: Identity,
  config: Config,
  emptyFolder: string,
): TurnRequest {
  const workspace = emptyWorkspace(emptyFolder);
  const turnRequest = readTurnRequest(request, identity, unnamedConfig(config), workspace);
  const { offer, format } = turnRequest;
  let dialogue: Dialogue | null = null;
  return {
    ...turnRequest,
    systemPrompt: request.system,
    volatile: "",
    dialogue: () => {
      const notes = [offer.note, formatNote(format)];
      dialogue ??= {
        ...splitDialogue(readDialogue(request, offer.catalogue), notes),
        messageAlone: () => splitDialogue(readDialogue(request), notes).message,
      };
      return dialogue;
    },
  };
}

/**
 * Reads a request of a conversation whose requests name only the response that they continue.
 * @param emptyFolder where the process works; created if it does not exist
 * @throws RequestError as `readOneShotTurnRequest`, if its process may be in a terminal
 */
export function readResponseTurnRequest(
  request: ParsedRequest,
  identity: Identity,
  config: Config,
  emptyFolder: string,
): TurnRequest {
  return config.oneShots === "interactive"
    ? readOneShotTurnRequest(request, identity, config, emptyFolder)
    : { ...readUnnamedTurnRequest(request, identity, config, emptyFolder), continuesDialogue: true };
}

/** @param notes what the client asks about its tools and the format of the answer */
function splitDialogue(
  turns: readonly DialogueTurn[],
  notes: readonly (string | null)[],
): Pick<Dialogue, "history" | "message"> {
  const message = turns.at(-1)?.content ?? [];
  const added = notes.flatMap((text): Block[] => (text === null ? [] : [{ type: "text", text }]));
  return { history: turns.slice(0, -1), message: [...message, ...added] };
}

/** A folder with nothing in it for Claude to read. */
function emptyWorkspace(folder: string): Workspace {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return { path: realpathSync(folder), trusted: true };
}

/**
 * Reads a request that names no conversation and is answered by an interactive process: as the only turn of a
 * conversation of its own.
 * @param emptyFolder where the process works; created if it does not exist
 * @throws RequestError (`invalid_request`) for images and files, which a process in a terminal gets as files to read
 */
export function readOneShotTurnRequest(
  request: ParsedRequest,
  identity: Identity,
  config: Config,
  emptyFolder: string,
): TurnRequest {
  // OpenClaw's side requests have tools that are not meant for their answer.
  const clientTools: Config["clientTools"] = request.openclaw === null ? ["all"] : ["none"];
  const oneShotConfig: Config = { ...config, systemPrompt: "replace", clientTools };
  const turnRequest = readTurnRequest(request, identity, oneShotConfig, emptyWorkspace(emptyFolder));
  // This Claude has no tool that reads files.
  if (turnRequest.input.messages.some((one) => one.role === "user" && one.images.length + one.files.length > 0)) {
    throw new RequestError(
      "invalid_request",
      "With SYNTHESIS_ONE_SHOTS=interactive, images and files need a conversation. Name one, for example with `user`.",
      { param: "messages" },
    );
  }
  return turnRequest;
}

/** The id of the person who sent a request; null when it is absent, or has characters that cannot be seen. */
function senderOf(headers: Headers): string | null {
  const sender = openClawHeader(headers, "x-openclaw-sender-id")?.trim() ?? "";
  return /^[^\p{C}\p{Zl}\p{Zp}]{1,256}$/u.test(sender) ? sender : null;
}

/** The trace id in the `traceparent` header of W3C's Trace Context. */
const traceOf = (headers: Headers): string | null => headers.get("traceparent")?.split("-")[1] || null;
