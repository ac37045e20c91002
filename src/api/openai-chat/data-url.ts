/** Base64 data in a request, bare or in a `data:` URL. */

/**
 * The base64 data of a `data:` URL.
 * @returns null for any other URL
 */
export function base64In(url: string): string | null {
  const head = /^data:[^,]{0,200};base64,/i.exec(url)?.[0];
  return head === undefined ? null : url.slice(head.length);
}

/**
 * Decodes base64.
 * @returns null for text that is not base64; `too large` for more than `maxBytes`
 */
export function decodeBase64(base64: string, maxBytes: number): Buffer | "too large" | null {
  if (/[^A-Za-z0-9+/=\s]/.test(base64)) return null;
  // Base64 takes 4/3 of the bytes, and line breaks add a few per cent: twice is certainly too much.
  if (base64.length > maxBytes * 2) return "too large";
  const bytes = Buffer.from(base64, "base64");
  return bytes.length > maxBytes ? "too large" : bytes;
}
