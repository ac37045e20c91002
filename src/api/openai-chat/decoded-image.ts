/** The bytes of images in a request, told apart by what they are and not by what they say they are. */

import { RequestError } from "../../core/errors.ts";
import { base64In, decodeBase64 } from "./data-url.ts";
import type { Image } from "./images.ts";

/** What claude can look at, by its first bytes. */
const SIGNATURES: readonly (readonly [extension: string, mimeType: string, at: number, bytes: string])[] = [
  ["png", "image/png", 0, "\x89PNG\r\n\x1a\n"],
  ["jpg", "image/jpeg", 0, "\xff\xd8\xff"],
  ["gif", "image/gif", 0, "GIF8"],
  ["webp", "image/webp", 8, "WEBP"],
];
const MAX_MB = 10;
const MAX_IMAGES = 20;

export interface DecodedImage {
  readonly bytes: Uint8Array;
  readonly extension: string;
  readonly mimeType: string;
}

const refuse = (message: string, param: string) => new RequestError("invalid_request", message, { param });

/** @throws ApiError (400) as `readPictures` does, and for too many */
export function checkImages(images: readonly Image[]): void {
  const tooMany = images[MAX_IMAGES];
  if (tooMany) throw refuse(`At most ${MAX_IMAGES} images can come with a message.`, tooMany.param);
  decodeImages(images);
}

/** Why an image cannot be given to claude; null when it can. */
export function faultOf(image: Image): string | null {
  const read = tryDecodeImage(image);
  return typeof read === "string" ? read : null;
}

/** An image, or why it cannot be given to claude. */
export function tryDecodeImage(image: Image): DecodedImage | string {
  try {
    return readPicture(image);
  } catch (error) {
    if (error instanceof RequestError) return error.message;
    throw error;
  }
}

/**
 * Decodes images.
 * @throws ApiError (400) for one that is no base64 data URL, no image claude knows, or too large
 */
export const decodeImages = (images: readonly Image[]): readonly DecodedImage[] => images.map(readPicture);

function readPicture({ url, param }: Image): DecodedImage {
  const base64 = base64In(url);
  const bytes = base64 ? decodeBase64(base64, MAX_MB * 1024 * 1024) : null;
  if (bytes === null) throw refuse("An image must be a data: URL in base64.", param);
  if (bytes === "too large") throw refuse(`An image may have at most ${MAX_MB} MB. Send a smaller one.`, param);
  const known = signatureOf(bytes);
  if (!known) throw refuse("Only PNG, JPEG, GIF and WebP images are understood.", param);
  const [extension, mimeType] = known;
  return { bytes, extension, mimeType };
}

/** Whether these are an image's first bytes, 16 of them or more. */
export const isImage = (bytes: Buffer): boolean => signatureOf(bytes) !== undefined;

function signatureOf(bytes: Buffer) {
  const start = bytes.toString("latin1", 0, 16);
  return SIGNATURES.find(([, , at, signature]) => start.startsWith(signature, at));
}
