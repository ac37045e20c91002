/** The values of OpenClaw's headers: our plugin there percent-encodes what a header cannot carry as it is. */

/** A header's value as it was before; one that is not encoded stays as it is. */
export function openClawHeader(headers: Headers, name: `x-openclaw-${string}`): string | null {
  const value = headers.get(name);
  if (!value?.includes("%")) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    // A percent sign of its own, from somebody who does not encode.
    return value;
  }
}
