/** The bytes of an image or a file that came in a request as base64. */

/**
 * The base64 of a `data:` URL, without its head.
 * @returns null when it is no such URL
 */
export function base64In(url: string): string | null {
  const head = /^data:[^,]{0,200};base64,/i.exec(url)?.[0];
  return head === undefined ? null : url.slice(head.length);
}

/**
 * Decodes base64.
 * @param maxBytes more are not decoded
 * @returns null for what is no base64; `too large` beyond `maxBytes`
 */
export function decodeBase64(base64: string, maxBytes: number): Buffer | "too large" | null {
  if (/[^A-Za-z0-9+/=\s]/.test(base64)) return null;
  // Blanks and padding make it a little less.
  if (base64.length > maxBytes * 2) return "too large";
  const bytes = Buffer.from(base64, "base64");
  return bytes.length > maxBytes ? "too large" : bytes;
}
