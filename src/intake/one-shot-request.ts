/**
 * A request that is to be answered from itself alone: its system prompt, all its messages as turns of
 * user and assistant, and what its answer shall look like.
 */
import { z } from "zod";
import { type DecodedImage, decodeImages, tryDecodeImage } from "../api/openai-chat/decoded-image.ts";
import { checkFiles, type DecodedFile, filesIn, fileText, readFiles, tryFile } from "../api/openai-chat/files.ts";
import { imagesIn, isText, otherTypesIn, refuseOtherParts } from "../api/openai-chat/images.ts";
import { impliedRequest, impliedText, splitBegunAnswer } from "../api/openai-chat/implied-request.ts";
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
import { RequestError } from "../core/errors.ts";
import { labelledResult, labelName, quoteFile, quoteTags, quoteWords } from "../core/quoting.ts";

/** A content block as Anthropic's API has it. */
type Block =
  | { readonly type: "text"; readonly text: string }
  | {
      readonly type: "image";
      readonly source: { readonly type: "base64"; readonly media_type: string; readonly data: string };
    }
  | {
      readonly type: "document";
      readonly title: string;
      readonly source: { readonly type: "base64"; readonly media_type: "application/pdf"; readonly data: string };
    };

export interface PastTurn {
  readonly role: "user" | "assistant";
  readonly content: readonly Block[];
}

export interface OneShotRequest {
  /** Empty when the request has none. */
  readonly system: string;
  /** User and assistant take turns; the first and the last are the user's. */
  readonly turns: readonly PastTurn[];
  /** The answer that the client has begun, and Claude continues; null when there is none. */
  readonly begun: string | null;
  /** `json`: the answer must parse. `schema` is there when claude itself can be held to it. */
  readonly format: Format;
}

type Format = { readonly type: "text" } | { readonly type: "json"; readonly schema: Record<string, unknown> | null };

const options = z.looseObject({
  response_format: z
    .looseObject({
      type: z.string(),
      json_schema: z.looseObject({ schema: z.record(z.string(), z.unknown()).nullish() }).nullish(),
    })
    .nullish(),
});

/** @throws ApiError (400) when something cannot be shown to claude */
export function readOneShotRequest(request: ChatRequest): OneShotRequest {
  const format = readFormat(request);
  // claude gives such an answer as a tool's input, and that is always an object.
  const isHeld = format.type === "json" && format.schema?.type === "object";
  const asked = isHeld ? null : formatNote(format);
  return {
    system: [systemText(request), asked ?? ""].filter((text) => text !== "").join("\n\n"),
    ...readTurns(request.messages),
    format: format.type === "json" && !isHeld ? { type: "json", schema: null } : format,
  };
}

/** @throws ApiError (400) when it is not understood */
export function readFormat(request: ChatRequest): Format {
  const read = options.safeParse(request);
  if (!read.success) {
    throw new RequestError(
      "invalid_request",
      "response_format must be an object whose type is text, json_object or json_schema.",
      { param: "response_format" },
    );
  }
  const { response_format: wanted } = read.data;
  if (wanted?.type !== "json_schema" && wanted?.type !== "json_object") return { type: "text" };
  return { type: "json", schema: wanted.json_schema?.schema ?? null };
}

/** What is asked of claude where nothing can hold it to the format; null when any answer will do. */
export function formatNote(format: Format): string | null {
  if (format.type === "text") return null;
  const only = (what: string) =>
    `Answer with a single JSON ${what} and nothing else: no words around it, no code fence.`;
  if (!format.schema) return only("object");
  return `${only("value")} It fits this JSON schema: ${JSON.stringify(format.schema)}`;
}

function readTurns(messages: readonly ChatMessage[]): Pick<OneShotRequest, "turns" | "begun"> {
  const turns: { role: PastTurn["role"]; content: Block[] }[] = [];
  const add = (role: PastTurn["role"], blocks: readonly Block[]) => {
    // The API refuses blank texts.
    const content = blocks.filter((block) => block.type !== "text" || block.text.trim() !== "");
    if (content.length === 0) return;
    const last = turns.at(-1);
    if (last?.role === role) last.content.push(...content);
    else turns.push({ role, content });
  };
  const names = resultNames(messages);
  const { rest, begun } = splitBegunAnswer(
    withToolImages(messages).filter(({ message: { role } }) => role !== "system" && role !== "developer"),
  );
  for (const { message, index } of rest) {
    if (message.role === "assistant") add("assistant", assistantBlocks(message));
    else if (message.role === "user") add("user", userBlocks(message, index));
    else add("user", resultBlocks(message, index, names.get(index) ?? "a tool"));
  }
  const implied = impliedRequest(begun, rest.at(-1)?.message, turns.at(-1)?.role === "user");
  if (begun !== null) add("assistant", [{ type: "text", text: begun }]);
  if (implied) add("user", [{ type: "text", text: impliedText(implied, false) }]);
  if (turns[0]?.role === "assistant") {
    turns.unshift({ role: "user", content: [{ type: "text", text: "(The conversation begins with your words.)" }] });
  }
  return { turns, begun };
}

/** claude has none of the client's tools, so calls and results are told in words. */
const assistantBlocks = (message: ChatMessage): readonly Block[] =>
  [
    quoteWords(withSpeaker(speakerOf(message), saidText(message))),
    ...pastCalls(message).map(
      ({ name, arguments: given }) => `[called ${labelName(name)} with ${quoteWords(given) || "{}"}]`,
    ),
  ].map((text) => ({ type: "text", text }));

/** Nothing in a result is refused, since the tool has run: what cannot be shown is named. */
function resultBlocks(message: ChatMessage, index: number, name: string): readonly Block[] {
  const images = imagesIn(message, index).map(tryDecodeImage);
  const files = filesIn(message, index).map(tryFile);
  const missing = [
    ...images.filter((image) => typeof image === "string"),
    ...files.filter((file) => typeof file === "string"),
    ...otherTypesIn(message),
  ].map((what) => `\n[Here was something that cannot be shown: ${what}]`);
  return [
    { type: "text", text: `${labelledResult("result of %", name, messageText(message))}${missing.join("")}` },
    ...images.filter((image) => typeof image !== "string").map(imageBlock),
    ...files.filter((file) => typeof file !== "string").map(fileBlock),
  ];
}

function userBlocks(message: ChatMessage, index: number): readonly Block[] {
  const speaker = speakerOf(message);
  const said = (text: string): Block => ({ type: "text", text: quoteWords(withSpeaker(speaker, text)) });
  if (!Array.isArray(message.content)) return [said(message.content ?? "")];
  refuseOtherParts(message, index);
  const images = decodeImages(imagesIn(message, index)).map(imageBlock);
  const parts = filesIn(message, index);
  checkFiles(parts);
  const files = readFiles(parts).map(fileBlock);
  const isFile = new Set(parts.map(({ at }) => at));
  // In their order; what is neither text nor file is an image by now.
  return message.content.flatMap((part, at): Block[] =>
    isText(part) ? [said(part.text)] : (isFile.has(at) ? files : images).splice(0, 1),
  );
}

const imageBlock = ({ bytes, mimeType }: DecodedImage): Block => ({
  type: "image",
  source: { type: "base64", media_type: mimeType, data: Buffer.from(bytes).toString("base64") },
});

function fileBlock(file: DecodedFile): Block {
  const { bytes, kind, name } = file;
  if (kind === "text")
    return { type: "text", text: `<file name="${name}">\n${quoteTags(quoteFile(fileText(file)))}\n</file>` };
  const data = Buffer.from(bytes).toString("base64");
  return { type: "document", title: name, source: { type: "base64", media_type: "application/pdf", data } };
}

const FENCE = "```";
const OPENING_FENCE = /^```\w*\s*$/;

/** An answer that shall parse, without the code fence that a model likes to put around it. */
export function unfenced(answer: string): string {
  const trimmed = answer.trim();
  const firstLineEnd = trimmed.indexOf("\n");
  if (firstLineEnd < 0 || !trimmed.endsWith(FENCE) || !OPENING_FENCE.test(trimmed.slice(0, firstLineEnd)))
    return trimmed;
  const closing = trimmed.length - FENCE.length;
  return closing > firstLineEnd ? trimmed.slice(firstLineEnd + 1, closing).trim() : trimmed;
}
