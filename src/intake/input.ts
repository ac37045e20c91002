/**
 * What a request brings into its conversation. Every request of this API carries the whole conversation;
 * what is new are the user and tool messages behind the last assistant message, in their order; if that message is
 * the last of all, it is an answer that Claude is asked to continue, and does not count here. The rest
 * claude has in its own conversation, unless it is new to this one: then the history tells it.
 */

import { faultOf } from "../api/openai-chat/decoded-image.ts";
import { type FilePart, filesIn, fileText, tryFile } from "../api/openai-chat/files.ts";
import { type Image, imagesIn, otherTypesIn, refuseOtherParts } from "../api/openai-chat/images.ts";
import { type ImpliedRequest, impliedRequest, splitBegunAnswer } from "../api/openai-chat/implied-request.ts";
import { pastCalls, resultNames, saidText } from "../api/openai-chat/past-message.ts";
import {
  type ChatMessage,
  type ChatRequest,
  messageText,
  speakerOf,
  systemText,
  withSpeaker,
} from "../api/openai-chat/request.ts";
import { withToolImages } from "../api/openai-chat/tool-images.ts";
import { isCompactionSummary } from "../api/openclaw/compaction.ts";
import { carriedContext } from "../api/openclaw/context-message.ts";
import type { OpenClawRequest } from "../api/openclaw/request.ts";
import { readWording, saysAborted, type Wording } from "../api/openclaw/retry.ts";
import { splitRuntimeLine } from "../api/openclaw/runtime-line.ts";
import { RequestError } from "../core/errors.ts";
import { labelledResult, labelName, quoteNames, quoteWords } from "../core/quoting.ts";
import { ClientExchange } from "./exchange.ts";
import { messageFingerprint } from "./fingerprint.ts";
import type { HistoryEntry } from "./history-text.ts";

/** In characters; browsers take no longer ones. */
const LONGEST_URL = 2_000;

interface UserInput {
  readonly role: "user";
  readonly kind: Wording["kind"];
  readonly text: string;
  /** Who of several people says it; null when the client does not say. */
  readonly speaker: string | null;
  readonly images: readonly Image[];
  readonly files: readonly FilePart[];
  /** The same for the same words, whenever they are said. */
  readonly fingerprint: string;
}

export interface ToolInput {
  readonly role: "tool";
  /** Empty when the client does not say which call it answers. */
  readonly callId: string;
  /** The tool's name, when the history has the call. */
  readonly name: string | null;
  /** Its text files are part of it. */
  readonly text: string;
  readonly images: readonly Image[];
  readonly files: readonly FilePart[];
  /** The client says that the tool has failed. */
  readonly isError: boolean;
}

export type NewMessage = UserInput | ToolInput;

export interface PastMessage extends HistoryEntry {
  /** By which the user's words are known again; none when they are another's. */
  readonly fingerprints: readonly string[];
}

export interface Input {
  /** What is new, in its order. None when `implied` is there, or of OpenClaw when it has only context. */
  readonly messages: readonly NewMessage[];
  /** What is asked for where no user message says it; null where one does. */
  readonly implied: ImpliedRequest | null;
  /** What OpenClaw wants known with it: nobody's words. */
  readonly context: readonly string[];
  /** OpenClaw says that the turn before was aborted. */
  readonly aborted: boolean;
  /** The system and developer messages. */
  readonly system: string;
  /** All that was said before, oldest first. */
  readonly history: readonly PastMessage[];
  readonly hasHistory: boolean;
  /** The same as exchanges, in which it is compared with what Claude knows. */
  readonly exchanges: readonly ClientExchange[];
  /** The history begins with a summary of what was said before it. */
  readonly isCompacted: boolean;
  /** Of the user's messages in the history. */
  readonly historyFingerprints: readonly string[];
  /** Of the user's messages that are new. */
  readonly newFingerprints: readonly string[];
}

/**
 * Reads a request's new input and its history.
 * @param openclaw what OpenClaw says in it, null for another client
 * @throws ApiError (400) when there is something new that claude cannot be given, or OpenClaw has nothing new
 */
export function readInput(request: ChatRequest, openclaw: OpenClawRequest | null): Input {
  const all = placesOf(request, openclaw);
  const { rest: places, begun } = openclaw === null ? splitBegunAnswer(all) : { rest: all, begun: null };
  const start = (places.findLast(({ role }) => role === "assistant")?.index ?? -1) + 1;
  const names = resultNames(request.messages);
  const first = places.find(({ role }) => role === "user");
  const isCompacted = openclaw !== null && first !== undefined && isCompactionSummary(messageText(first.message));

  const history: PastMessage[] = [];
  const exchanges: ClientExchange[] = [];
  const messages: NewMessage[] = [];
  const context: string[] = [];
  let aborted = false;
  for (const place of places) {
    const { message, index } = place;
    const carried = carriedContext(message);
    if (isCompacted && place === first) history.push({ role: "summary", text: messageText(message), fingerprints: [] });
    else if (index < start) {
      if (carried !== null) continue;
      const inputs = place.role === "user" ? userInputs(place, openclaw) : [];
      const fingerprints = inputs.filter(({ kind }) => kind !== "continue").map(({ fingerprint }) => fingerprint);
      const name = place.role === "tool" ? (names.get(index) ?? null) : speakerOf(message);
      const past: PastMessage = { role: place.role, name, text: pastText(place, inputs), fingerprints };
      addToExchanges(exchanges, history.length, place, inputs);
      if (past.text.trim() !== "") history.push(past);
    } else if (carried !== null) context.push(carried);
    else {
      if (place.role === "user") refuseOtherParts(message, index);
      aborted ||= openclaw !== null && place.role === "user" && saysAborted(messageText(message));
      messages.push(
        ...(place.role === "user" ? userInputs(place, openclaw) : [toolInput(place, names.get(index) ?? null)]),
      );
    }
  }
  // Of OpenClaw a message without words is no fault: an error would end its run.
  if (openclaw !== null && messages.length === 0 && context.length === 0) {
    throw new RequestError(
      "invalid_request",
      "There is no new user text: the last message must be a user message with text in it.",
      { param: "messages" },
    );
  }
  const last = exchanges.at(-1);
  if (last) last.isOpen = messages[0]?.role === "tool";
  const hasWords = messages.length + context.length > 0;
  return {
    messages,
    implied: openclaw === null ? impliedRequest(begun, places.at(-1)?.message, hasWords) : null,
    context: context.filter((text) => text !== ""),
    aborted,
    system: systemText(request),
    history,
    hasHistory: history.length > 0,
    exchanges,
    isCompacted,
    historyFingerprints: history.flatMap(({ fingerprints }) => fingerprints),
    newFingerprints: messages.flatMap((message) => (message.role === "user" ? [message.fingerprint] : [])),
  };
}

/** @param at where in the history, as it is given to Claude, this message stands */
function addToExchanges(
  exchanges: ClientExchange[],
  at: number,
  { role, message }: Place,
  inputs: readonly UserInput[],
): void {
  const last = exchanges.at(-1);
  if (role === "user") {
    const exchange = last && !last.isAnswered ? last : new ClientExchange(at);
    if (exchange !== last) exchanges.push(exchange);
    const own = inputs.filter(({ kind }) => kind !== "continue");
    for (const { fingerprint, text } of own) exchange.addUser(fingerprint, text);
    if (inputs.length === 0) exchange.addUser(messageFingerprint(""), "");
  } else if (role === "assistant") {
    const exchange = last ?? new ClientExchange(at);
    if (!last) exchanges.push(exchange);
    exchange.addAnswer(messageText(message));
  }
}

/**
 * What is told to claude, as one text: words and results, a blank line between two.
 * @param messages without the results that go to calls that still run
 */
export function inputText(messages: readonly NewMessage[]): string {
  const speakers = new Set(messages.flatMap((message) => (message.role === "user" ? (message.speaker ?? []) : [])));
  return messages
    .map((message) =>
      message.role === "user"
        ? quoteWords(withSpeaker(message.speaker, quoteNames(message.text, speakers)))
        : labelledResult("% returned", message.name ?? "a tool", message.text),
    )
    .filter((text) => text.trim() !== "")
    .join("\n\n");
}

/** One message that is neither a system nor a developer message. */
interface Place {
  readonly role: "user" | "assistant" | "tool";
  /** Without the Runtime line. */
  readonly message: ChatMessage;
  readonly index: number;
}

function placesOf({ messages }: ChatRequest, openclaw: OpenClawRequest | null): readonly Place[] {
  const first = messages.find(({ role }) => role === "user");
  return withToolImages(messages).flatMap(({ message, index }): Place[] => {
    if (message.role === "system" || message.role === "developer") return [];
    const role = message.role === "function" ? "tool" : message.role;
    const bare = message === first && openclaw?.runtime ? splitRuntimeLine(message)?.message : undefined;
    return [{ role, message: bare ?? message, index }];
  });
}

/** More than one when OpenClaw has added a request of its own; none when there is nothing in it. */
function userInputs(place: Place, openclaw: OpenClawRequest | null): readonly UserInput[] {
  const text = messageText(place.message);
  const wordings: readonly Wording[] = openclaw ? readWording(text) : [{ kind: "own", text }];
  const said = wordings.filter((wording) => wording.text.trim() !== "");
  const speaker = speakerOf(place.message);
  const images = imagesIn(place.message, place.index);
  const files = filesIn(place.message, place.index);
  if (said.length === 0 && images.length + files.length > 0) {
    const fingerprint = messageFingerprint("", [...images, ...files]);
    return [{ role: "user", kind: "own", text: "", speaker, images, files, fingerprint }];
  }
  return said.map((wording, at) => {
    const own = at === 0 ? { images, files } : { images: [], files: [] };
    const fingerprint = messageFingerprint(wording.text, [...own.images, ...own.files]);
    return { role: "user", ...wording, speaker, ...own, fingerprint };
  });
}

/** The tool has run, and OpenClaw would give up: no result is refused, and of what claude cannot be given it is told. */
function toolInput(place: Place, name: string | null): ToolInput {
  const { message, index } = place;
  const images = imagesIn(message, index).map((image) => ({ image, fault: faultOf(image) }));
  const files = filesIn(message, index).map((part) => ({ part, file: tryFile(part) }));
  const missing = [
    ...images.flatMap(({ image: { url }, fault }) => (fault === null ? [] : [`image, ${placeOf(url)}: ${fault}`])),
    ...files.flatMap(({ file }) => (typeof file === "string" ? [`file: ${file}`] : [])),
    ...otherTypesIn(message),
  ].map((what) => `[Here was something that cannot be shown: ${what}]`);
  const texts = files.flatMap(({ file }) =>
    typeof file !== "string" && file.kind === "text" ? [`[file ${file.name}]\n${fileText(file)}`] : [],
  );
  return {
    role: "tool",
    callId: message.tool_call_id ?? "",
    name,
    text: [messageText(message), ...texts, ...missing].filter((line) => line !== "").join("\n"),
    images: images.flatMap(({ image, fault }) => (fault === null ? [image] : [])),
    files: files.flatMap(({ part, file }) => (typeof file !== "string" && file.kind === "pdf" ? [part] : [])),
    isError: message.is_error === true,
  };
}

/** Where an image is, unless it is all in its URL. */
const placeOf = (url: string): string => (/^data:/i.test(url) ? "of bytes" : url.slice(0, LONGEST_URL));

/** How a message is told to a claude that was not there. */
function pastText(place: Place, inputs: readonly UserInput[]): string {
  const { message, role, index } = place;
  const words =
    role === "user" ? inputs.filter(({ kind }) => kind !== "continue").map(({ text }) => text) : [saidText(message)];
  const images = imagesIn(message, index).map(() => "[image]");
  const files = filesIn(message, index).map(({ name }) => (name === null ? "[file]" : `[file ${name}]`));
  const calls = pastCalls(message).map(({ name, arguments: given }) =>
    given === "" || given === "{}"
      ? `[called ${labelName(name)}]`
      : `[called ${labelName(name)} with ${quoteWords(given)}]`,
  );
  return [...words.map(quoteWords), ...images, ...files, ...calls].filter((line) => line.trim() !== "").join("\n");
}
