/**
 * OpenClaw's system prompt. Its first section is stable: it stays the same for a whole session. The sections behind it
 * may differ with every request: the date, the delivery of answers, permissions. Each section stands between markers,
 * and the first marker shows that a system prompt is OpenClaw's.
 */

const STABLE = "<!-- openclaw:attempt:STABLE -->";
const STABLE_END = "<!-- /openclaw:attempt:STABLE -->";
const MARKER = /^<!-- \/?openclaw:attempt:(?:STABLE|DYNAMIC|PERMISSION) -->\n?/gm;
const NEXT_SECTION = /^\s*<!-- openclaw:attempt:(?:DYNAMIC|PERMISSION) -->/;
const FOLDER = "\n## Workspace\nWorking directory: ";

/** Whether OpenClaw wrote this system prompt. */
export const isAttempt = (system: string): boolean => system.startsWith(STABLE);

export interface SystemPrompt {
  /** The part that stays the same for all requests of a session, unless files of the workspace change. */
  readonly stable: string;
  /** The part that may differ with every request; empty when there is none. */
  readonly volatile: string;
}

/** Splits a system prompt into its two parts, without the markers. Another client's prompt is all stable. */
export function splitSystemPrompt(system: string): SystemPrompt {
  if (!isAttempt(system)) return { stable: system, volatile: "" };
  const end = endOfStable(system);
  const rest = system.slice(end + STABLE_END.length);
  return { stable: system.slice(STABLE.length, end).trim(), volatile: rest.replace(MARKER, "").trim() };
}

/** The stable section contains files of the workspace, which may contain its end marker: a section must follow that. */
function endOfStable(system: string): number {
  const first = system.indexOf(STABLE_END);
  for (let at = first; at >= 0; at = system.indexOf(STABLE_END, at + 1)) {
    if (NEXT_SECTION.test(system.slice(at + STABLE_END.length, at + STABLE_END.length + 80))) return at;
  }
  return first >= 0 ? first : system.length;
}

/** The agent's working directory; null when the system prompt does not name one. */
export function workingDirectory(system: string): string | null {
  // The first match: files of the workspace come further down, and may contain the same line.
  const at = isAttempt(system) ? system.indexOf(FOLDER) : -1;
  if (at < 0) return null;
  const start = at + FOLDER.length;
  const end = system.indexOf("\n", start);
  return system.slice(start, end < 0 ? undefined : end).trim() || null;
}
