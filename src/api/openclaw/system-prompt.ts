/**
 * OpenClaw's system prompt: one section that stays the same for the length of a session, and behind it
 * those that may differ with every request (the date, the delivery of answers, permissions), each
 * between markers. Its first marker is how we know that a prompt is OpenClaw's.
 */

const STABLE = "<!-- openclaw:attempt:STABLE -->";
const STABLE_END = "<!-- /openclaw:attempt:STABLE -->";
const MARKER = /^<!-- \/?openclaw:attempt:(?:STABLE|DYNAMIC|PERMISSION) -->\n?/gm;
const NEXT_SECTION = /^\s*<!-- openclaw:attempt:(?:DYNAMIC|PERMISSION) -->/;
const FOLDER = "\n## Workspace\nWorking directory: ";

/** Whether OpenClaw wrote this system prompt. */
export const isAttempt = (system: string): boolean => system.startsWith(STABLE);

export interface SystemPrompt {
  /** The same in all requests of a session, as long as its workspace's files are. */
  readonly stable: string;
  readonly volatile: string;
}

/** A system prompt's two parts, without the markers. Of another client's prompt nothing is volatile. */
export function splitSystemPrompt(system: string): SystemPrompt {
  if (!isAttempt(system)) return { stable: system, volatile: "" };
  const end = endOfStable(system);
  const rest = system.slice(end + STABLE_END.length);
  return { stable: system.slice(STABLE.length, end).trim(), volatile: rest.replace(MARKER, "").trim() };
}

/** Files of the workspace stand in the stable section, and may quote its end: the next section must follow. */
function endOfStable(system: string): number {
  const first = system.indexOf(STABLE_END);
  for (let at = first; at >= 0; at = system.indexOf(STABLE_END, at + 1)) {
    if (NEXT_SECTION.test(system.slice(at + STABLE_END.length, at + STABLE_END.length + 80))) return at;
  }
  return first >= 0 ? first : system.length;
}

/** The folder OpenClaw says it works in, null when it does not say. */
export function workingDirectory(system: string): string | null {
  // The first: files of the workspace come further down and may say anything.
  const at = isAttempt(system) ? system.indexOf(FOLDER) : -1;
  if (at < 0) return null;
  const start = at + FOLDER.length;
  const end = system.indexOf("\n", start);
  return system.slice(start, end < 0 ? undefined : end).trim() || null;
}
