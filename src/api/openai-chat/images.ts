/** What a message has besides its text. Nothing is decoded or fetched here. */
import { RequestError } from "../../core/errors.ts";
import { fileIn, holdsImage, isFilePart, NO_BYTES } from "./files.ts";
import type { ChatMessage, ContentPart } from "./request.ts";

export interface Image {
  /** As it came: in a new message a `data:` URL. */
  readonly url: string;
  /** Where in the request it stands, for an error that finds fault with it. */
  readonly param: string;
}

/** In characters; a longer one is cut in the error. */
const LONGEST_TYPE = 50;

const TEXT = new Set(["text", "input_text"]);
const IMAGE = new Set(["image_url", "input_image"]);

/**
 * The images of a message.
 * @param index its place in the request
 */
export function imagesIn({ content }: ChatMessage, index: number): readonly Image[] {
  if (!Array.isArray(content)) return [];
  return content.flatMap((part, at) => imageIn(part, partPath(index, at)) ?? []);
}

/** @throws ApiError (400) for a part that is neither text nor an image or a file with its bytes in it */
export function refuseOtherParts({ content }: ChatMessage, index: number): void {
  if (!Array.isArray(content)) return;
  for (const [at, part] of content.entries()) {
    const path = partPath(index, at);
    const image = imageIn(part, path);
    if (image && !/^data:/i.test(image.url)) {
      throw new RequestError(
        "invalid_request",
        "An image must be a data: URL in base64; no image is fetched. Send its bytes.",
        { param: image.param },
      );
    }
    if (image || isText(part) || fileIn(part, path)) continue;
    const message = TEXT.has(part.type)
      ? `${path} needs a text.`
      : IMAGE.has(part.type)
        ? `${path} needs an image_url with a data: URL in it.`
        : isFilePart(part)
          ? NO_BYTES
          : `Only text, images and files are understood, not ${part.type.slice(0, LONGEST_TYPE)}. Leave it out.`;
    throw new RequestError("invalid_request", message, { param: path });
  }
}

/** The types of a message's parts that are neither text, image nor file. */
export function otherTypesIn({ content }: ChatMessage): readonly string[] {
  if (!Array.isArray(content)) return [];
  return content.flatMap((part) => (isText(part) || imageIn(part, "") || fileIn(part, "") ? [] : [part.type]));
}

/** A text part, of either of OpenAI's two APIs. */
export const isText = (part: ContentPart): part is ContentPart & { text: string } =>
  TEXT.has(part.type) && part.text !== undefined;

const partPath = (index: number, at: number): string => `messages[${index}].content[${at}]`;

/** An image part, of either of OpenAI's two APIs, or a file part with an image in it. */
function imageIn(part: ContentPart, path: string): Image | null {
  const file = fileIn(part, path);
  if (file && holdsImage(file)) return { url: asDataUrl(file.url), param: file.param };
  if (!IMAGE.has(part.type)) return null;
  const { image_url: image } = part;
  if (typeof image === "string") return { url: image, param: `${path}.image_url` };
  if (typeof image !== "object" || image === null || !("url" in image) || typeof image.url !== "string") return null;
  return { url: image.url, param: `${path}.image_url.url` };
}

/** A file may come as bare base64. */
const asDataUrl = (data: string): string => (/^data:/i.test(data) ? data : `data:;base64,${data}`);
