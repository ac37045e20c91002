/** What claude does with a tool, on one line for a person. */

/** The field of a tool's input that says most. */
const TELLING: Record<string, string> = {
  Bash: "command",
  Read: "file_path",
  Edit: "file_path",
  Write: "file_path",
  NotebookEdit: "notebook_path",
  Glob: "pattern",
  Grep: "pattern",
  WebFetch: "url",
  WebSearch: "query",
  Agent: "description",
  Task: "description",
};
/** In characters. */
const AT_A_GLANCE = 200;
/** So much of an input is looked at for it. A secret that is cut off here stands behind what is shown. */
const READ_AT_A_GLANCE = 10_000;
const IN_FULL = 1_500;

/** Takes out of a text what must not be shown. */
type Hide = (text: string) => string;

/** As `Bash: git push`; only the tool's name when its input says nothing short. */
export function describeToolUse(tool: string, input: unknown, hide: Hide): string {
  const fields = typeof input === "object" && input !== null ? (input as Record<string, unknown>) : {};
  const telling = fields[TELLING[tool] ?? ""] ?? Object.values(fields).find((value) => typeof value === "string");
  const start = typeof telling === "string" ? telling.trimStart().slice(0, READ_AT_A_GLANCE) : "";
  const text = onOneLine(hide(start));
  return named(tool, text.length > AT_A_GLANCE ? `${text.slice(0, AT_A_GLANCE)}…` : text);
}

/** The same for somebody who is to allow it: nothing is left out unsaid, and of a tool we do not know all is said. */
export function spellOutToolUse(tool: string, input: unknown, hide: Hide): string {
  const fields = typeof input === "object" && input !== null ? (input as Record<string, unknown>) : {};
  const telling = fields[TELLING[tool] ?? ""];
  const text = onOneLine(hide(typeof telling === "string" ? telling : JSON.stringify(fields)));
  if (text.length <= IN_FULL) return named(tool, text);
  // What matters may stand at either end.
  const [start, end] = [text.slice(0, IN_FULL / 2), text.slice(-IN_FULL / 2)];
  return named(tool, `${start} […${text.length - IN_FULL} characters that are not shown…] ${end}`);
}

const named = (tool: string, text: string): string => onOneLine(text === "" ? tool : `${tool}: ${text}`);

/** A new line and what no eye can see are shown, since a shell and a terminal do not pass over them. */
const onOneLine = (text: string): string =>
  text
    .trim()
    // One pattern for all: with a second quantifier before the new line it would take quadratic time on a run of blanks.
    .replaceAll(/\s+/g, (blanks) => (/[\n\u2028\u2029]/.test(blanks) ? " ⏎ " : " "))
    .replaceAll(/\p{C}/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
