/** The images and files of a message. Claude receives their paths as attributes of the message's channel tag. */

import type { DecodedFile, DecodedImage } from "../core/attachments.ts";
import type { SaveFile } from "./tool-results.ts";

/**
 * Saves a message's images and files.
 * @returns the attributes: `image_1`, `file_1` … are paths, `file_1_name` … are the names that the user gave the files
 */
export function attachmentMeta(
  images: readonly DecodedImage[],
  files: readonly DecodedFile[],
  save: SaveFile,
): Readonly<Record<string, string>> {
  return Object.fromEntries([
    ...images.map(({ bytes, extension }, at) => [`image_${at + 1}`, save(bytes, extension)]),
    ...files.flatMap(({ bytes, extension, name }, at) => [
      [`file_${at + 1}`, save(bytes, extension)],
      [`file_${at + 1}_name`, name],
    ]),
  ]);
}
