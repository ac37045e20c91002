/**
 * The parts of a message's content: text, images and files, in the forms of both of OpenAI's APIs (Chat Completions
 * and Responses). Here a part is only classified. `attachments.ts` decodes it; nothing is ever fetched.
 */
import { RequestError } from "../../core/errors.ts";
import { base64In, decodeBase64 } from "./data-url.ts";
import { imageFormatOf } from "./image-format.ts";
import type { ChatMessage, ContentPart } from "./request.ts";

export interface ImagePart {
  readonly kind: "image";
  /** As the client sent it. Only a `data:` URL can be decoded. */
  readonly url: string;
  /** The path of the field in the request, for errors. */
  readonly param: string;
}

export interface FilePart {
  readonly kind: "file";
  /** As the client sent it: a `data:` URL, or bare base64, which OpenAI accepts too. */
  readonly url: string;
  /** The path of the field in the request, for errors. */
  readonly param: string;
  /** The client's name for the file, made safe for a path, a tag or a line; null when there is none. */
  readonly name: string | null;
}

export type MessagePart =
  | { readonly kind: "text"; readonly text: string }
  | ImagePart
  | FilePart
  /** A part that Claude cannot be given: an unknown type, or a known one without its data. */
  | { readonly kind: "unsupported"; readonly type: string; readonly param: string };

/** Longer type names are cut in errors. In characters. */
const MAX_TYPE_LENGTH = 50;
const MAX_NAME_LENGTH = 80;
/** Enough characters of base64 to recognise an image. */
const HEAD_LENGTH = 64;

const TEXT = new Set(["text", "input_text"]);
const IMAGE = new Set(["image_url", "input_image"]);
const FILE = new Set(["file", "input_file"]);

/**
 * Classifies the parts of a message's content, in their order.
 * @param index the message's index in the request, for errors
 */
export function readParts({ content }: ChatMessage, index: number): readonly MessagePart[] {
  if (typeof content === "string") return [{ kind: "text", text: content }];
  return (content ?? []).map((part, at) => readPart(part, `messages[${index}].content[${at}]`));
}

/** Classifies one part. @param path the part's path in the request, for errors */
export function readPart(part: ContentPart, path: string): MessagePart {
  if (isText(part)) return { kind: "text", text: part.text };
  return readFile(part, path) ?? readImage(part, path) ?? { kind: "unsupported", type: part.type, param: path };
}

/** Whether this is a text part that has a text. */
export const isText = (part: ContentPart): part is ContentPart & { text: string } =>
  TEXT.has(part.type) && part.text !== undefined;

export const imagesIn = (parts: readonly MessagePart[]): readonly ImagePart[] =>
  parts.filter((part) => part.kind === "image");

export const filesIn = (parts: readonly MessagePart[]): readonly FilePart[] =>
  parts.filter((part) => part.kind === "file");

/** The types of the parts that Claude cannot be given. */
export const unsupportedTypes = (parts: readonly MessagePart[]): readonly string[] =>
  parts.flatMap((part) => (part.kind === "unsupported" ? [part.type] : []));

/** @throws RequestError (`invalid_request`) for the first part that Claude cannot be given */
export function refuseUnsupportedParts(parts: readonly MessagePart[]): void {
  for (const part of parts) {
    if (part.kind === "image" && !/^data:/i.test(part.url)) {
      throw refusal("Send the image as a base64 data: URL. The server does not fetch images.", part.param);
    }
    if (part.kind === "unsupported") throw refusal(adviceFor(part), part.param);
  }
}

const refusal = (message: string, param: string) => new RequestError("invalid_request", message, { param });

function adviceFor({ type, param }: MessagePart & { kind: "unsupported" }): string {
  if (TEXT.has(type)) return `${param} needs a text.`;
  if (IMAGE.has(type)) return `${param} needs an image_url with a data: URL.`;
  if (FILE.has(type))
    return "Send the file's bytes as base64 in file_data. The server does not fetch files by id or URL.";
  return `Content parts of type ${type.slice(0, MAX_TYPE_LENGTH)} are not supported. Send text, images or files.`;
}

/** A file part. One that holds an image counts as an image: some clients send every attachment as a file. */
function readFile(part: ContentPart, path: string): FilePart | ImagePart | null {
  if (!FILE.has(part.type)) return null;
  // Chat Completions: {type: "file", file: {…}}. Responses: {type: "input_file", …}.
  const nested = typeof part.file === "object" && part.file !== null ? (part.file as Record<string, unknown>) : null;
  const { file_data: url, filename: name } = nested ?? part;
  // A URL of any other kind would have to be fetched.
  if (typeof url !== "string" || /^[a-z][a-z0-9+.-]{0,20}:(?!.{0,200};base64,)/i.test(url)) return null;
  const param = `${path}${nested ? ".file.file_data" : ".file_data"}`;
  return holdsImage(url)
    ? { kind: "image", url: /^data:/i.test(url) ? url : `data:;base64,${url}`, param }
    : { kind: "file", url, param, name: safeName(name) };
}

function holdsImage(url: string): boolean {
  const head = decodeBase64((base64In(url.slice(0, 300)) ?? url).slice(0, HEAD_LENGTH), HEAD_LENGTH);
  return head instanceof Buffer && imageFormatOf(head) !== undefined;
}

function readImage(part: ContentPart, path: string): ImagePart | null {
  if (!IMAGE.has(part.type)) return null;
  const { image_url: image } = part;
  if (typeof image === "string") return { kind: "image", url: image, param: `${path}.image_url` };
  if (typeof image !== "object" || image === null || !("url" in image) || typeof image.url !== "string") return null;
  return { kind: "image", url: image.url, param: `${path}.image_url.url` };
}

/** The name without folders and without characters that mean something in a path, in a tag or on a line. */
function safeName(name: unknown): string | null {
  if (typeof name !== "string") return null;
  const base = name.slice(-1_000).split(/[\\/]/).at(-1) ?? "";
  const safe = base.replace(/[^\p{L}\p{M}\p{N} ._()+-]/gu, "_").trim();
  // A long name loses its beginning, since its end is the extension.
  return /^[._ ]*$/.test(safe) ? null : safe.slice(-MAX_NAME_LENGTH);
}
