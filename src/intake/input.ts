/**
 * What is new in a request, and its history. Every request of this API carries the whole conversation. The user and tool
 * messages after the last assistant message are new. All messages before them are history, of which Claude knows most or
 * all. A prefill is an assistant message at the very end, and does not count as the last assistant message.
 */
import { checkFileCount, checkImageCount } from "../api/openai-chat/attachments.ts";
import { filesIn, imagesIn, refuseUnsupportedParts } from "../api/openai-chat/content-parts.ts";
import { pastCalls, textOf } from "../api/openai-chat/past-message.ts";
import { messageText, speakerOf } from "../api/openai-chat/request.ts";
import { isCompactionSummary } from "../api/openclaw/compaction.ts";
import { saysAborted } from "../api/openclaw/retry.ts";
import { RequestError } from "../core/errors.ts";
import { labelName, quoteMarkup } from "../core/quoting.ts";
import { ClientExchange } from "./exchange.ts";
import { messageFingerprint } from "./fingerprint.ts";
import { type ImpliedRequest, impliedRequest } from "./implied-request.ts";
import { type NewMessage, readToolResult, readUserMessage, type UserText, userTexts } from "./new-message.ts";
import type { ParsedMessage, ParsedRequest } from "./parsed-request.ts";

/** A message of the history, as Claude is given it. */
export interface PastMessage {
  readonly role: "user" | "assistant" | "tool" | "summary";
  /** The name of the person who wrote it, or of the tool; null or absent when it is not known. */
  readonly name?: string | null;
  readonly text: string;
  /** The fingerprints of the user's texts in it; empty for all other messages. */
  readonly fingerprints: readonly string[];
}

export interface Input {
  /** The new messages, in their order. Empty when `implied` says it all, or OpenClaw sends only context. */
  readonly messages: readonly NewMessage[];
  /** The request that no user message states; null when a message states it. */
  readonly implied: ImpliedRequest | null;
  /** What OpenClaw wants Claude to know with the new messages. No person wrote it. */
  readonly context: readonly string[];
  /** OpenClaw says that the turn before was aborted. */
  readonly aborted: boolean;
  /** The messages before the new ones, oldest first. */
  readonly history: readonly PastMessage[];
  readonly hasHistory: boolean;
  /** The history as exchanges. In this form it is compared with what Claude has been sent. */
  readonly exchanges: readonly ClientExchange[];
  /** The history begins with a summary of the messages before it. */
  readonly isCompacted: boolean;
  /** The fingerprints of the user's messages in the history. */
  readonly historyFingerprints: readonly string[];
  /** The fingerprints of the user's new messages. */
  readonly newFingerprints: readonly string[];
}

/**
 * Reads a request's new messages and its history.
 * @throws RequestError (`invalid_request`) for a new message that Claude cannot be given, and for an OpenClaw
 * request without anything new
 */
export function readInput(request: ParsedRequest): Input {
  const isOpenClaw = request.openclaw !== null;
  // OpenClaw does not prefill. A request of OpenClaw's that ends with an answer has nothing new.
  const parsed = isOpenClaw ? request.messages : request.messagesBeforePrefill;
  const firstNew = (parsed.findLast(({ role }) => role === "assistant")?.index ?? -1) + 1;
  const first = parsed.find(({ role }) => role === "user");
  const summary = isOpenClaw && first && isCompactionSummary(messageText(first.message)) ? first : null;

  const past = parsed.filter((one) => one === summary || (one.index < firstNew && one.context === null));
  const { history, exchanges } = readHistory(past, summary, isOpenClaw);
  const added = parsed.filter((one) => one !== summary && one.index >= firstNew);
  const context = added.flatMap((one) => one.context ?? []);
  const fresh = added.filter((one) => one.context === null);
  const messages = readNewMessages(fresh, isOpenClaw);
  // Any other client may send an empty message: then the request is implied.
  if (isOpenClaw && messages.length + context.length === 0) {
    throw new RequestError("invalid_request", "The last message must be a user message with text.", {
      param: "messages",
    });
  }
  const last = exchanges.at(-1);
  if (last) last.isOpen = messages[0]?.role === "tool";
  const statesRequest = messages.length + context.length > 0;
  return {
    messages,
    implied: isOpenClaw ? null : impliedRequest(request.prefill, parsed.at(-1)?.message, statesRequest),
    context: context.filter((text) => text !== ""),
    aborted: isOpenClaw && fresh.some(({ role, message }) => role === "user" && saysAborted(messageText(message))),
    history,
    hasHistory: history.length > 0,
    exchanges,
    isCompacted: summary !== null,
    historyFingerprints: history.flatMap(({ fingerprints }) => fingerprints),
    newFingerprints: messages.flatMap((message) => (message.role === "user" ? [message.fingerprint] : [])),
  };
}

function readNewMessages(fresh: readonly ParsedMessage[], isOpenClaw: boolean): readonly NewMessage[] {
  const ofUsers = fresh.filter(({ role }) => role === "user").map(({ parts }) => parts);
  ofUsers.forEach(refuseUnsupportedParts);
  checkImageCount(ofUsers.flatMap(imagesIn));
  checkFileCount(ofUsers.flatMap(filesIn));
  return fresh.flatMap((one): readonly NewMessage[] =>
    one.role === "user" ? readUserMessage(one, isOpenClaw) : [readToolResult(one)],
  );
}

/** @param summary the message that summarises what was said before it; null when there is none */
function readHistory(past: readonly ParsedMessage[], summary: ParsedMessage | null, isOpenClaw: boolean) {
  const history: PastMessage[] = [];
  const exchanges: ClientExchange[] = [];
  for (const one of past) {
    if (one === summary) {
      history.push({ role: "summary", text: messageText(one.message), fingerprints: [] });
      continue;
    }
    const texts = one.role === "user" ? userTexts(one, isOpenClaw) : [];
    addToExchanges(exchanges, history.length, one, texts);
    const message = pastMessage(one, texts);
    if (message.text.trim() !== "") history.push(message);
  }
  return { history, exchanges };
}

/** The user's texts, without requests to continue, which OpenClaw adds. */
const ownTexts = (texts: readonly UserText[]): readonly UserText[] => texts.filter(({ kind }) => kind !== "continue");

/** @param at the message's index in the history, as Claude is given it */
function addToExchanges(
  exchanges: ClientExchange[],
  at: number,
  { role, message }: ParsedMessage,
  texts: readonly UserText[],
): void {
  const last = exchanges.at(-1);
  if (role === "user") {
    const exchange = last && !last.isAnswered ? last : new ClientExchange(at);
    if (exchange !== last) exchanges.push(exchange);
    for (const { fingerprint, text } of ownTexts(texts)) exchange.addUser(fingerprint, text);
    if (texts.length === 0) exchange.addUser(messageFingerprint(""), "");
  } else if (role === "assistant") {
    const exchange = last ?? new ClientExchange(at);
    if (!last) exchanges.push(exchange);
    exchange.addAnswer(messageText(message));
  }
}

/** A message as it is given to a Claude session that does not know it: its texts, with labels for all that is not text. */
function pastMessage({ message, role, parts, toolName }: ParsedMessage, texts: readonly UserText[]): PastMessage {
  const own = ownTexts(texts);
  const written = role === "user" ? own.map(({ text }) => text) : [textOf(message)];
  const images = imagesIn(parts).map(() => "[image]");
  const files = filesIn(parts).map(({ name }) => (name === null ? "[file]" : `[file ${name}]`));
  const calls = pastCalls(message).map(({ name, arguments: given }) =>
    given === "" || given === "{}"
      ? `[called ${labelName(name)}]`
      : `[called ${labelName(name)} with ${quoteMarkup(given)}]`,
  );
  return {
    role,
    name: role === "tool" ? toolName : speakerOf(message),
    text: [...written.map(quoteMarkup), ...images, ...files, ...calls].filter((line) => line.trim() !== "").join("\n"),
    fingerprints: own.map(({ fingerprint }) => fingerprint),
  };
}
