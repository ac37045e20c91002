/** Decodes images and files. Their format is recognised by their bytes, not by the type that the client declares. */
import { isUtf8 } from "node:buffer";
import type { DecodedFile, DecodedImage } from "../../core/attachments.ts";
import { RequestError } from "../../core/errors.ts";
import type { FilePart, ImagePart } from "./content-parts.ts";
import { base64In, decodeBase64 } from "./data-url.ts";
import { imageFormatOf } from "./image-format.ts";

const MAX_MB = 10;
const MAX_BYTES = MAX_MB * 1024 * 1024;
const MAX_IMAGES = 20;
const MAX_FILES = 20;

/** @throws RequestError (`invalid_request`) for more images than one request may have */
export function checkImageCount(images: readonly ImagePart[]): void {
  const tooMany = images[MAX_IMAGES];
  if (tooMany) throw refusal(`Send at most ${MAX_IMAGES} images with a message.`, tooMany);
}

/** @throws RequestError (`invalid_request`) for more files than one request may have */
export function checkFileCount(files: readonly FilePart[]): void {
  const tooMany = files[MAX_FILES];
  if (tooMany) throw refusal(`Send at most ${MAX_FILES} files with a message.`, tooMany);
}

/** @throws RequestError (`invalid_request`) for anything but a PNG, JPEG, GIF or WebP image in a base64 `data:` URL */
export function decodeImage(part: ImagePart): DecodedImage {
  const base64 = base64In(part.url);
  const bytes = base64 ? decodeBase64(base64, MAX_BYTES) : null;
  if (bytes === null) throw refusal("An image must be a base64 data: URL.", part);
  if (bytes === "too large") throw refusal(`An image may have at most ${MAX_MB} MB. Send a smaller one.`, part);
  const format = imageFormatOf(bytes);
  if (!format) throw refusal("Only PNG, JPEG, GIF and WebP images are supported.", part);
  return { bytes, extension: format.extension, mimeType: format.mimeType };
}

/** @throws RequestError (`invalid_request`) for anything but a PDF or UTF-8 text in base64 */
export function decodeFile(part: FilePart): DecodedFile {
  const { url, name } = part;
  const bytes = decodeBase64(base64In(url) ?? url, MAX_BYTES);
  if (bytes === null) throw refusal("A file must be base64, bare or as a data: URL.", part);
  if (bytes === "too large") throw refusal(`A file may have at most ${MAX_MB} MB. Send a smaller one.`, part);
  if (bytes.toString("latin1", 0, 5) === "%PDF-") {
    return { bytes, kind: "pdf", extension: "pdf", name: name ?? "file.pdf" };
  }
  if (!isUtf8(bytes) || bytes.includes(0)) {
    throw refusal("Only PDF and text files (UTF-8) are supported, besides images. Convert the file first.", part);
  }
  const extension = textExtension(name, /^data:([^;,]*)/i.exec(url)?.[1]?.toLowerCase() ?? "");
  return { bytes, kind: "text", extension, name: name ?? `file.${extension}` };
}

/** Decodes an attachment. @returns the reason, as a sentence, when it cannot be given to Claude */
export function tryDecode<Part, Decoded>(part: Part, decode: (part: Part) => Decoded): Decoded | string {
  try {
    return decode(part);
  } catch (error) {
    if (error instanceof RequestError) return error.message;
    throw error;
  }
}

const refusal = (message: string, { param }: ImagePart | FilePart) =>
  new RequestError("invalid_request", message, { param });

/** With one of these extensions, Claude Code would not read the file as text. */
const NOT_TEXT = /^(?:pdf|png|jpe?g|gif|webp|ipynb)$/i;
const EXTENSION_OF_TYPE: Readonly<Record<string, string>> = {
  "application/json": "json",
  "application/xml": "xml",
  "text/csv": "csv",
  "text/html": "html",
  "text/markdown": "md",
  "text/xml": "xml",
};

/** The extension by which Claude recognises a table, a source file or Markdown. */
function textExtension(name: string | null, type: string): string {
  const extension = /\.([A-Za-z0-9]{1,10})$/.exec(name ?? "")?.[1];
  return extension && !NOT_TEXT.test(extension) ? extension.toLowerCase() : (EXTENSION_OF_TYPE[type] ?? "txt");
}
