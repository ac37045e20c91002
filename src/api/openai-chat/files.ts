/**
 * The files of a message: PDF and text, recognised by their bytes and not by what they are said to be. An image in a
 * file part is an image (`images.ts`). Nothing is fetched, neither by an id nor by an address.
 */
import { isUtf8 } from "node:buffer";
import { RequestError } from "../../core/errors.ts";
import { base64In, decodeBase64 } from "./data-url.ts";
import { isImage } from "./decoded-image.ts";
import type { ChatMessage, ContentPart } from "./request.ts";

const MAX_MB = 10;
const MAX_FILES = 20;
const LONGEST_NAME = 80;
/** Enough base64 for the first bytes of any kind of file that is known here. */
const HEAD = 64;

export interface FilePart {
  /** As it came: a `data:` URL, or the bare base64 that OpenAI takes as well. */
  readonly url: string;
  /** Where in the request it stands, for an error that finds fault with it. */
  readonly param: string;
  /** Its place among the message's parts. */
  readonly at: number;
  /** What the client calls it, in characters that can stand anywhere; null when it does not say. */
  readonly name: string | null;
}

export interface DecodedFile {
  readonly bytes: Uint8Array;
  readonly kind: "pdf" | "text";
  readonly extension: string;
  /** To be shown; never empty. */
  readonly name: string;
}

const FILE = new Set(["file", "input_file"]);

/** Whether a part is a file part, of either of OpenAI's two APIs. */
export const isFilePart = ({ type }: ContentPart): boolean => FILE.has(type);

/**
 * The file in a part.
 * @param path the part's own, for errors
 * @returns null when it is no file part, or its bytes are not in it
 */
export function fileIn(part: ContentPart, path: string, at = 0): FilePart | null {
  const body = bodyOf(part);
  if (typeof body?.data !== "string" || /^[a-z][a-z0-9+.-]{0,20}:(?!.{0,200};base64,)/i.test(body.data)) return null;
  return { url: body.data, param: `${path}${body.field}`, at, name: safeName(body.name) };
}

/** Whether a file is an image, by its first bytes: some clients send all attachments in file parts. */
export function holdsImage({ url }: FilePart): boolean {
  const head = decodeBase64((base64In(url.slice(0, 300)) ?? url).slice(0, HEAD), HEAD);
  return head instanceof Buffer && isImage(head);
}

/** The files of a message that are no images. @param index its place in the request */
export function filesIn({ content }: ChatMessage, index: number): readonly FilePart[] {
  if (!Array.isArray(content)) return [];
  return content.flatMap((part, at) => {
    const file = fileIn(part, `messages[${index}].content[${at}]`, at);
    return file && !holdsImage(file) ? [file] : [];
  });
}

/** What to tell a client whose file part has no bytes in it. */
export const NO_BYTES = "A file must come with its bytes, as file_data in base64; none is fetched by an id or a URL.";

/** @throws ApiError (400) as `readFiles` does, and for too many */
export function checkFiles(files: readonly FilePart[]): void {
  const tooMany = files[MAX_FILES];
  if (tooMany) throw refuse(`At most ${MAX_FILES} files can come with a message.`, tooMany.param);
  readFiles(files);
}

/**
 * Decodes files.
 * @throws ApiError (400) for one that is no base64, neither PDF nor text, or too large
 */
export const readFiles = (files: readonly FilePart[]): readonly DecodedFile[] => files.map(readFile);

/** A file, or why it cannot be given to Claude. */
export function tryFile(file: FilePart): DecodedFile | string {
  try {
    return readFile(file);
  } catch (error) {
    if (error instanceof RequestError) return error.message;
    throw error;
  }
}

/** The text of a text file. */
export const fileText = ({ bytes }: DecodedFile): string => new TextDecoder().decode(bytes);

const refuse = (message: string, param: string) => new RequestError("invalid_request", message, { param });

function readFile({ url, param, name }: FilePart): DecodedFile {
  const bytes = decodeBase64(base64In(url) ?? url, MAX_MB * 1024 * 1024);
  if (bytes === null) throw refuse("A file must be a data: URL in base64, or base64.", param);
  if (bytes === "too large") throw refuse(`A file may have at most ${MAX_MB} MB. Send a smaller one.`, param);
  if (bytes.toString("latin1", 0, 5) === "%PDF-") {
    return { bytes, kind: "pdf", extension: "pdf", name: name ?? "file.pdf" };
  }
  if (!isUtf8(bytes) || bytes.includes(0)) {
    throw refuse("Only PDF and text files (UTF-8) are understood, and images. Send it as one of these.", param);
  }
  const extension = textExtension(name, /^data:([^;,]*)/i.exec(url)?.[1]?.toLowerCase() ?? "");
  return { bytes, kind: "text", extension, name: name ?? `file.${extension}` };
}

/** Claude takes a file with one of these extensions for something that no text is. */
const NOT_TEXT = /^(?:pdf|png|jpe?g|gif|webp|ipynb)$/i;
const OF_TYPE: Readonly<Record<string, string>> = {
  "application/json": "json",
  "application/xml": "xml",
  "text/csv": "csv",
  "text/html": "html",
  "text/markdown": "md",
  "text/xml": "xml",
};

/** So that Claude knows a table, a source file or Markdown by its name. */
function textExtension(name: string | null, type: string): string {
  const own = /\.([A-Za-z0-9]{1,10})$/.exec(name ?? "")?.[1];
  return own && !NOT_TEXT.test(own) ? own.toLowerCase() : (OF_TYPE[type] ?? "txt");
}

/** A name without folders, and without what has a meaning in a path, in a tag or on a line. */
function safeName(name: unknown): string | null {
  if (typeof name !== "string") return null;
  const base = name.slice(-1_000).split(/[\\/]/).at(-1) ?? "";
  const safe = base.replace(/[^\p{L}\p{M}\p{N} ._()+-]/gu, "_").trim();
  // The end has the extension.
  return /^[._ ]*$/.test(safe) ? null : safe.slice(-LONGEST_NAME);
}

/** Chat Completions has `{type: "file", file: {…}}`, Responses `{type: "input_file", …}`. */
function bodyOf(part: ContentPart): { data: unknown; name: unknown; field: string } | null {
  if (!isFilePart(part)) return null;
  const inner = typeof part.file === "object" && part.file !== null ? (part.file as Record<string, unknown>) : null;
  const { file_data: data, filename: name } = inner ?? part;
  return { data, name, field: inner ? ".file.file_data" : ".file_data" };
}
