/** The images and files that come with a message, as Claude is given them: paths in the attributes of its channel tag. */

import type { DecodedFile, DecodedImage } from "../core/attachments.ts";
import type { SaveFile } from "./tool-results.ts";

/**
 * Saves a message's images and files.
 * @returns `image_1`, `file_1` … with their paths, and `file_1_name` … with what the person calls the files
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
