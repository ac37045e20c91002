/**
 * Header values that are names, and may hold characters that a header cannot. Our plugin in OpenClaw percent-encodes
 * them; other clients send UTF-8.
 */

/**
 * A header's value as its sender wrote it. HTTP libraries decode header bytes as Latin-1, but nearly all clients send
 * UTF-8, and text in another encoding is hardly ever valid UTF-8.
 */
export function headerText(headers: Headers, name: string): string | null {
  const value = headers.get(name);
  if (!value || !/[\x80-\xff]/.test(value)) return value;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(value, "latin1"));
  } catch {
    // The value was Latin-1, as the HTTP standard says.
    return value;
  }
}

/** The value of an OpenClaw header, percent-decoded. A value that is not encoded stays the same. */
export function openClawHeader(headers: Headers, name: `x-openclaw-${string}`): string | null {
  const value = headerText(headers, name);
  if (!value?.includes("%")) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    // The percent sign is part of a value that was not encoded.
    return value;
  }
}
