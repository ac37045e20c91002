/** The values of headers that name things; in OpenClaw's our plugin there percent-encodes what a header cannot carry. */

/**
 * A header's value as its sender wrote it. What is no ASCII comes as bytes, each taken for a letter; nearly
 * all clients send UTF-8, and hardly anything else looks like it.
 */
export function headerText(headers: Headers, name: string): string | null {
  const value = headers.get(name);
  if (!value || !/[\x80-\xff]/.test(value)) return value;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(value, "latin1"));
  } catch {
    // Latin-1, as the standard has it.
    return value;
  }
}

/** A header's value as it was before; one that is not encoded stays as it is. */
export function openClawHeader(headers: Headers, name: `x-openclaw-${string}`): string | null {
  const value = headerText(headers, name);
  if (!value?.includes("%")) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    // A percent sign of its own, from somebody who does not encode.
    return value;
  }
}
