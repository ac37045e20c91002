/**
 * Recognises side requests of programs whose wording is not known, by how they differ from the conversation's turns.
 * Each of the differences alone occurs in ordinary turns, so all of them must be there together.
 */
import { type ChatMessage, messageText } from "../api/openai-chat/request.ts";
import { hasRetrievalTags } from "../api/openai-chat/side-requests.ts";
import { messageFingerprint } from "./fingerprint.ts";
import type { ParsedRequest } from "./parsed-request.ts";

/** Enough of a message to recognise it where another request repeats or quotes it. In characters. */
const EXCERPT_LENGTH = 200;
/** A shorter text may stand in another one by chance. In characters. */
const SHORTEST_QUOTE = 12;

/** What of a turn request is remembered, so that later requests can be compared with it. */
export interface RequestShape {
  /** As the client names it; null for the default. */
  readonly model: string | null;
  readonly hasTools: boolean;
  /** Fingerprint of the system prompt; null when there is none. */
  readonly system: string | null;
  /** How its first and its last user message begin. */
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
 * Whether a request is about a conversation rather than a part of it: it offers no tools though the conversation's
 * turns do, has another system prompt, brings no answers, and its last message repeats one that the conversation
 * has, or quotes it.
 * @param turn the newest request that was a turn of the conversation
 * @param isBusy whether a turn of the conversation runs or waits
 */
export function looksLikeSideRequest(turn: RequestShape, request: ParsedRequest, isBusy: boolean): boolean {
  // Cheap, and enough for nearly all requests.
  if (!turn.hasTools || hasTools(request)) return false;
  const said = request.body.messages.filter(({ role }) => role !== "system" && role !== "developer");
  const last = said.at(-1);
  if (!last || said.some(({ role }) => role !== "user")) return false;
  const system = systemOf(request);
  if (system === null || system === turn.system) return false;
  const isKnown = (message: ChatMessage) => turn.excerpts.includes(excerptOf(messageText(message)));
  // An instruction stands in front of the conversation's own message.
  if (said.length > 1) return isKnown(last) && !isKnown(said[0] as ChatMessage);
  // A program that asks two models side by side sends each the same message, with the model's own tools and prompt.
  if ((request.body.model ?? null) !== turn.model) return false;
  // A person may change tools and prompt and then send the message again, but not while its turn still runs.
  if (isKnown(last)) return isBusy;
  const text = messageText(last);
  if (hasRetrievalTags(text)) return false;
  return turn.excerpts.some((excerpt) => excerpt.length >= SHORTEST_QUOTE && text.includes(excerpt));
}

const hasTools = ({ body: { tools } }: ParsedRequest): boolean => (tools?.length ?? 0) > 0;
const excerptOf = (text: string): string => text.trim().slice(0, EXCERPT_LENGTH).trim();

const systemOf = ({ system }: ParsedRequest): string | null => (system === "" ? null : messageFingerprint(system));

/** The engine keeps the whole of a text in memory as long as a slice of it is kept. */
const copied = (text: string): string => Buffer.from(text, "utf16le").toString("utf16le");
