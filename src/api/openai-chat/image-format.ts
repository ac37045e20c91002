/** The image formats that Claude can look at, recognised by their first bytes. */

export interface ImageFormat {
  readonly extension: string;
  readonly mimeType: string;
}

const FORMATS: readonly (ImageFormat & { readonly offset: number; readonly signature: string })[] = [
  { extension: "png", mimeType: "image/png", offset: 0, signature: "\x89PNG\r\n\x1a\n" },
  { extension: "jpg", mimeType: "image/jpeg", offset: 0, signature: "\xff\xd8\xff" },
  { extension: "gif", mimeType: "image/gif", offset: 0, signature: "GIF8" },
  { extension: "webp", mimeType: "image/webp", offset: 8, signature: "WEBP" },
];

/** @returns undefined for bytes in any other format */
export function imageFormatOf(bytes: Buffer): ImageFormat | undefined {
  const start = bytes.toString("latin1", 0, 16);
  return FORMATS.find(({ signature, offset }) => start.startsWith(signature, offset));
}
