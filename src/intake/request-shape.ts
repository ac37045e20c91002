/**
 * Recognises side requests in an unknown form, by how they differ from the turns of their conversation. Each difference
 * alone also occurs between ordinary turns, so a side request must have all of them.
 */
import { type ChatMessage, messageText } from "../api/openai-chat/request.ts";
import { hasRetrievalTags } from "../api/openai-chat/side-requests.ts";
import { messageFingerprint } from "./fingerprint.ts";
import type { ParsedRequest } from "./parsed-request.ts";

/** How much of a message is remembered, to recognise it in another request. In characters. */
const EXCERPT_LENGTH = 200;
/** A shorter text may be part of another one by chance. In characters. */
const MIN_QUOTE_LENGTH = 12;

/** The properties of a turn request that later requests are compared with. */
export interface RequestShape {
  /** The model as the client names it; null for the default. */
  readonly model: string | null;
  readonly hasTools: boolean;
  /** The fingerprint of the system prompt; null when there is none. */
  readonly system: string | null;
  /** The beginnings of its first and its last user message. */
  readonly excerpts: readonly string[];
}

export function shapeOf(request: ParsedRequest): RequestShape {
  const users = request.body.messages.filter(({ role }) => role === "user");
  const ends = users.length > 1 ? [users[0], users.at(-1)] : users;
  return {
    model: request.body.model ?? null,
    hasTools: hasTools(request),
    system: systemOf(request),
    excerpts: ends
      .flatMap((message) => (message ? [copied(excerptOf(messageText(message)))] : []))
      .filter((excerpt) => excerpt !== ""),
  };
}

/**
 * Whether a request is a side request about a conversation, rather than a turn of it. A side request has no tools although
 * the conversation's turns have some; it has another system prompt and no assistant messages; and its last message
 * repeats or quotes a message of the conversation.
 * @param turn the newest turn request of the conversation
 * @param isBusy whether a turn of the conversation runs or waits
 */
export function looksLikeSideRequest(turn: RequestShape, request: ParsedRequest, isBusy: boolean): boolean {
  // First, because it is cheap and decides for nearly all requests.
  if (!turn.hasTools || hasTools(request)) return false;
  const messages = request.body.messages.filter(({ role }) => role !== "system" && role !== "developer");
  const last = messages.at(-1);
  if (!last || messages.some(({ role }) => role !== "user")) return false;
  const system = systemOf(request);
  if (system === null || system === turn.system) return false;
  const isKnown = (message: ChatMessage) => turn.excerpts.includes(excerptOf(messageText(message)));
  // The program puts an instruction in front of the conversation's message.
  if (messages.length > 1) return isKnown(last) && !isKnown(messages[0] as ChatMessage);
  // A program that compares two models sends both the same message, each with its own tools and system prompt.
  if ((request.body.model ?? null) !== turn.model) return false;
  // A person may change the tools and the system prompt and then repeat a message, but not while its turn still runs.
  if (isKnown(last)) return isBusy;
  const text = messageText(last);
  if (hasRetrievalTags(text)) return false;
  return turn.excerpts.some((excerpt) => excerpt.length >= MIN_QUOTE_LENGTH && text.includes(excerpt));
}

const hasTools = ({ body: { tools } }: ParsedRequest): boolean => (tools?.length ?? 0) > 0;
const excerptOf = (text: string): string => text.trim().slice(0, EXCERPT_LENGTH).trim();

const systemOf = ({ system }: ParsedRequest): string | null => (system === "" ? null : messageFingerprint(system));

/** A copy of the text: a slice would keep the whole text that it comes from in memory. */
const copied = (text: string): string => Buffer.from(text, "utf16le").toString("utf16le");
