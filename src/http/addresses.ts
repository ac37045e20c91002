/** Which of our addresses a request means. */

/**
 * The path without what a base URL adds to it that has `/v1` already, lacks it, or ends in a slash: `/v1/v1/models`,
 * `/models` and `/v1//models` are all `/v1/models`.
 */
export function canonicalPath(path: string): string {
  const single = path.replace(/\/{2,}/g, "/").replace(/(?<=.)\/$/, "");
  const once = single.replace(/^(?:\/v1)+(?=\/v1(?:\/|$))/, "");
  return /^\/models(?:\/|$)/.test(once) ? `/v1${once}` : once;
}
