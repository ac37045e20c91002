/**
 * The address that a request's path stands for. Clients append paths to a base URL that may lack `/v1`, repeat it, or
 * end in a slash: `/models`, `/responses`, `/messages`, `/v1/v1/models` and `/v1//models` stand for addresses below `/v1`.
 */
export function canonicalPath(path: string): string {
  const singleSlashes = path.replace(/\/{2,}/g, "/").replace(/(?<=.)\/$/, "");
  const singlePrefix = singleSlashes.replace(/^(?:\/v1)+(?=\/v1(?:\/|$))/, "");
  return /^\/(?:models|responses|messages)(?:\/|$)/.test(singlePrefix) ? `/v1${singlePrefix}` : singlePrefix;
}
