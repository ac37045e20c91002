/** The range of Claude Code versions that synthesis is tested with. */

/** The end-to-end tests pass on both. `newest` is the pinned development dependency, which every change is tested on. */
export const TESTED_VERSIONS = { oldest: "2.1.330", newest: "2.1.332" } as const;

/** The range as people read it. */
export const TESTED_RANGE = `${TESTED_VERSIONS.oldest} to ${TESTED_VERSIONS.newest}`;

/** Where `version`, such as `2.1.331`, is in relation to the tested range. */
export function compareWithTested(version: string): "older" | "tested" | "newer" {
  if (Bun.semver.order(version, TESTED_VERSIONS.oldest) < 0) return "older";
  return Bun.semver.order(version, TESTED_VERSIONS.newest) > 0 ? "newer" : "tested";
}
