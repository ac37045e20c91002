/** The new messages of a request: what users have written and what tools have returned, with their attachments decoded. */
import { decodeFile, decodeImage, tryDecode } from "../api/openai-chat/attachments.ts";
import { filesIn, imagesIn, unsupportedTypes } from "../api/openai-chat/content-parts.ts";
import { messageText, speakerOf } from "../api/openai-chat/request.ts";
import { type MessageSegment, splitMessage } from "../api/openclaw/retry.ts";
import { type DecodedFile, type DecodedImage, fileText } from "../core/attachments.ts";
import { messageFingerprint } from "./fingerprint.ts";
import type { ParsedMessage } from "./parsed-request.ts";

/** Longer URLs are cut where they are shown. In characters; browsers accept no longer ones. */
const MAX_URL_LENGTH = 2_000;

export interface UserInput {
  readonly role: "user";
  readonly kind: MessageSegment["kind"];
  readonly text: string;
  /** The name of the person who wrote it, in a chat of several; null when the client does not say. */
  readonly speaker: string | null;
  readonly images: readonly DecodedImage[];
  readonly files: readonly DecodedFile[];
  /** Recognises the message when the client sends it again. */
  readonly fingerprint: string;
}

export interface ToolInput {
  readonly role: "tool";
  /** The id of the call that the result belongs to; empty when the client does not say. */
  readonly callId: string;
  /** The tool's name; null when the request does not say. */
  readonly name: string | null;
  /** The text of the result, with the text of its text files. */
  readonly text: string;
  readonly images: readonly DecodedImage[];
  /** PDF files; text files are part of `text`. */
  readonly files: readonly DecodedFile[];
  /** The client says that the tool has failed. */
  readonly isError: boolean;
  /** Recognises the result when the client sends it again. */
  readonly fingerprint: string;
}

export type NewMessage = UserInput | ToolInput;

/** A text in a user message, with its fingerprint. */
export type UserText = Pick<UserInput, "kind" | "text" | "fingerprint">;

/**
 * The texts of a user message. One from OpenClaw may have two, if OpenClaw has added a request of its own. A message
 * without text and attachments has none.
 */
export function userTexts({ message, parts }: ParsedMessage, isOpenClaw: boolean): readonly UserText[] {
  const text = messageText(message);
  const segments: readonly MessageSegment[] = isOpenClaw ? splitMessage(text) : [{ kind: "own", text }];
  const written = segments.filter((segment) => segment.text.trim() !== "");
  const attachments = [...imagesIn(parts), ...filesIn(parts)];
  const all: readonly MessageSegment[] =
    written.length === 0 && attachments.length > 0 ? [{ kind: "own", text: "" }] : written;
  // The attachments belong to the first text.
  return all.map((segment, at) => ({
    ...segment,
    fingerprint: messageFingerprint(segment.text, at === 0 ? attachments : []),
  }));
}

/** Reads a new user message. @throws RequestError (`invalid_request`) for an attachment that Claude cannot be given */
export function readUserMessage(parsed: ParsedMessage, isOpenClaw: boolean): readonly UserInput[] {
  const speaker = speakerOf(parsed.message);
  const images = imagesIn(parsed.parts).map(decodeImage);
  const files = filesIn(parsed.parts).map(decodeFile);
  return userTexts(parsed, isOpenClaw).map((one, at) => ({
    role: "user",
    ...one,
    speaker,
    images: at === 0 ? images : [],
    files: at === 0 ? files : [],
  }));
}

/**
 * Reads a new result. A result is never refused, since its tool has run, and OpenClaw would end its run on an error. Its
 * text names what Claude cannot be given.
 */
export function readToolResult({ message, parts, toolName }: ParsedMessage): ToolInput {
  const images = imagesIn(parts).map((part) => ({ part, image: tryDecode(part, decodeImage) }));
  const files = filesIn(parts).map((part) => tryDecode(part, decodeFile));
  const missing = [
    ...images.flatMap(({ part: { url }, image }) =>
      typeof image === "string" ? [`image, ${shown(url)}: ${image}`] : [],
    ),
    ...files.flatMap((file) => (typeof file === "string" ? [`file: ${file}`] : [])),
    ...unsupportedTypes(parts),
  ].map((what) => `[Here was something that cannot be shown: ${what}]`);
  const decoded = files.filter((file) => typeof file !== "string");
  const textFiles = decoded.filter(({ kind }) => kind === "text");
  const text = [messageText(message), ...textFiles.map((file) => `[file ${file.name}]\n${fileText(file)}`), ...missing]
    .filter((line) => line !== "")
    .join("\n");
  const shownImages = images.filter(({ image }) => typeof image !== "string");
  return {
    role: "tool",
    callId: message.tool_call_id ?? "",
    name: toolName,
    text,
    images: shownImages.flatMap(({ image }) => (typeof image === "string" ? [] : [image])),
    files: decoded.filter(({ kind }) => kind === "pdf"),
    isError: message.is_error === true,
    fingerprint: messageFingerprint(
      text,
      shownImages.map(({ part }) => part),
    ),
  };
}

/** An image's URL as it is shown to Claude. */
const shown = (url: string): string => (/^data:/i.test(url) ? "of bytes" : url.slice(0, MAX_URL_LENGTH));
