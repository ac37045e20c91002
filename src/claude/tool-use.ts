/** What claude does with a tool, or asks to do, for a person. */
import { createHash } from "node:crypto";
import { visibleLine } from "../core/visible-text.ts";

type Fields = Readonly<Record<string, unknown>>;

interface KnownTool {
  /** The field of its input that says most. */
  readonly telling: string;
  /** What it writes or passes on: a text of many lines. Null when the input does not have it as it should. */
  readonly content?: (fields: Fields) => string | null;
  /** The fields that `content` holds. */
  readonly inContent?: readonly string[];
  /** Fields that no decision depends on. */
  readonly unimportant?: readonly string[];
}

const field =
  (name: string) =>
  (fields: Fields): string | null =>
    typeof fields[name] === "string" ? fields[name] : null;

const agent: KnownTool = { telling: "description", content: field("prompt"), inContent: ["prompt"] };

const TOOLS: Readonly<Record<string, KnownTool>> = {
  Bash: { telling: "command", unimportant: ["description", "timeout"] },
  Read: { telling: "file_path", unimportant: ["offset", "limit", "pages"] },
  Edit: { telling: "file_path", content: editDiff, inContent: ["old_string", "new_string"] },
  MultiEdit: { telling: "file_path", content: editsDiff, inContent: ["edits"] },
  Write: { telling: "file_path", content: field("content"), inContent: ["content"] },
  NotebookEdit: { telling: "notebook_path", content: field("new_source"), inContent: ["new_source"] },
  Glob: { telling: "pattern" },
  Grep: { telling: "pattern" },
  WebFetch: { telling: "url", content: field("prompt"), inContent: ["prompt"] },
  WebSearch: { telling: "query" },
  Agent: agent,
  Task: agent,
};

/** In characters. */
const AT_A_GLANCE = 200;
/** So much of an input is looked at for it. A secret that is cut off here stands behind what is shown. */
const READ_AT_A_GLANCE = 10_000;
const IN_FULL = 1_500;
/** Enough for a glance, however much of it is white space. */
const LOOKED_AT = 2_000;

/** Takes out of a text what must not be shown. */
type Hide = (text: string) => string;

/** What a tool is to write or to pass on. */
export interface ToolContent {
  /** All of it, without secrets; it may hold characters that cannot be seen. */
  readonly text: string;
  /** Of the text as the tool gets it, secrets included. */
  readonly bytes: number;
  /** The first 16 hexadecimal digits. */
  readonly sha256: string;
}

/** As `Bash: git push`, on one line; only the tool's name when its input says nothing short. */
export function describeToolUse(tool: string, input: unknown, hide: Hide): string {
  const fields = fieldsOf(input);
  const told =
    fields[knownTool(tool)?.telling ?? ""] ?? Object.values(fields).find((value) => typeof value === "string");
  const whole = typeof told === "string" ? told.trimStart() : "";
  const text = onOneLine(hide(whole.slice(0, READ_AT_A_GLANCE)).slice(0, LOOKED_AT));
  const start = startOf(text, AT_A_GLANCE);
  return named(tool, "", start.length < text.length || whole.length > LOOKED_AT ? `${start}…` : text);
}

/**
 * The same for somebody who is to allow it: what is left out is said, and of a tool we do not know all is shown. What
 * the tool is to write or to pass on is in `toolContent`.
 */
export const spellOutToolUse = (tool: string, input: unknown, hide: Hide): string => spellOut(tool, input, hide).line;

/** What decides about a tool's use and is not on its line; null when the line has it all. */
export function toolContent(tool: string, input: unknown, hide: Hide): ToolContent | null {
  const fields = fieldsOf(input);
  const text = contentOf(tool, fields, spellOut(tool, input, hide).cut);
  if (text === null) return null;
  const sha256 = createHash("sha256").update(text).digest("hex").slice(0, 16);
  return { text: hide(text), bytes: Buffer.byteLength(text), sha256 };
}

/** @param cut what the line does not have whole: the telling field, or more than that */
function contentOf(tool: string, fields: Fields, cut: "telling" | "more" | null): string | null {
  const { telling = "", content, inContent = [] } = knownTool(tool) ?? {};
  const own = content?.(fields) ?? null;
  const isMissing = own === null && inContent.some((name) => name in fields);
  if (cut === null && !isMissing) return own;
  const told = fields[telling];
  return cut === "telling" && !content && typeof told === "string" ? told : JSON.stringify(fields, null, 2);
}

function spellOut(tool: string, input: unknown, hide: Hide): { line: string; cut: "telling" | "more" | null } {
  const fields = fieldsOf(input);
  const known = knownTool(tool);
  const told = fields[known?.telling ?? ""];
  if (!known || typeof told !== "string") {
    const { shown, isWhole } = middleOut(onOneLine(hide(JSON.stringify(fields))), IN_FULL);
    return { line: named(tool, "", shown), cut: isWhole ? null : "more" };
  }
  const apart = [known.telling, ...(known.inContent ?? []), ...(known.unimportant ?? [])];
  // In front, where a long text does not hide it: a command outside the sandbox, an edit of every occurrence.
  const others = Object.entries(fields)
    .filter(([name, value]) => !apart.includes(name) && value !== false && value !== null && value !== undefined)
    .map(([name, value]) => `${name}: ${hide(JSON.stringify(value))}`);
  const about = middleOut(onOneLine(others.join(", ")), IN_FULL);
  const text = middleOut(onOneLine(hide(told)), IN_FULL);
  const cut = about.isWhole ? (text.isWhole ? null : "telling") : "more";
  return { line: named(tool, about.shown, text.shown), cut };
}

/** A line of at most about `most` characters, as it can be seen. What matters may stand at either end. */
function middleOut(line: string, most: number): { shown: string; isWhole: boolean } {
  const all = startOf(line, most);
  if (all.length === line.length) return { shown: visibleLine(line), isWhole: true };
  const [start, end] = [startOf(line, most / 2), endOf(line, most / 2)];
  const left = line.length - start.length - end.length;
  return {
    shown: `${visibleLine(start)} […${left} characters that are not shown…] ${visibleLine(end)}`,
    isWhole: false,
  };
}

/** As much of the beginning as takes at most `most` characters when it is shown. */
export function startOf(text: string, most: number, show = visibleLine): string {
  let length = Math.min(text.length, most);
  for (;;) {
    const start = text.slice(0, length).replace(/[\ud800-\udbff]$/, length < text.length ? "" : "$&");
    const over = show(start).length - most;
    if (over <= 0) return start;
    // One character takes nine at most.
    length = Math.min(start.length - Math.ceil(over / 9), start.length - 1);
  }
}

function endOf(text: string, most: number): string {
  let length = Math.min(text.length, most);
  for (;;) {
    const end = text.slice(text.length - length).replace(/^[\udc00-\udfff]/, "");
    const over = visibleLine(end).length - most;
    if (over <= 0) return end;
    length = Math.min(end.length - Math.ceil(over / 9), end.length - 1);
  }
}

const knownTool = (tool: string): KnownTool | undefined => (Object.hasOwn(TOOLS, tool) ? TOOLS[tool] : undefined);

const fieldsOf = (input: unknown): Fields => (typeof input === "object" && input !== null ? (input as Fields) : {});

function named(tool: string, about: string, text: string): string {
  const name = visibleLine(startOf(tool, AT_A_GLANCE)) + (about === "" ? "" : ` (${about})`);
  return text === "" ? name : `${name}: ${visibleLine(text)}`;
}

/** A line end is shown, since a shell does not pass over it; other white space that can be seen is one blank. */
const onOneLine = (text: string): string =>
  text
    .replaceAll("\r\n", "\n")
    .replace(/[ \t\n]+/g, (blanks) => (blanks.includes("\n") ? " ⏎ " : " "))
    .replace(/^ (?:⏎ )?/, "")
    .replace(/(?: ⏎)? $/, "");

function editDiff({ old_string: before, new_string: after }: Fields): string | null {
  return typeof before === "string" && typeof after === "string" ? diff(before, after) : null;
}

function editsDiff({ edits }: Fields): string | null {
  if (!Array.isArray(edits)) return null;
  const all = edits.map((edit) => {
    const text = editDiff(fieldsOf(edit));
    return text === null || fieldsOf(edit).replace_all !== true ? text : `(replace_all)\n${text}`;
  });
  return all.every((text) => text !== null) ? all.join("\n\n") : null;
}

/** The lines that go, with `-`, and those that come, with `+`, between the lines that both begin and end with. */
function diff(before: string, after: string): string {
  const [old, young] = [before.split("\n"), after.split("\n")];
  const shorter = Math.min(old.length, young.length);
  let start = 0;
  while (start < shorter && old[start] === young[start]) start += 1;
  let end = 0;
  while (end < shorter - start && old.at(-1 - end) === young.at(-1 - end)) end += 1;
  return [
    ...old.slice(0, start).map((line) => `  ${line}`),
    ...old.slice(start, old.length - end).map((line) => `- ${line}`),
    ...young.slice(start, young.length - end).map((line) => `+ ${line}`),
    ...old.slice(old.length - end).map((line) => `  ${line}`),
  ].join("\n");
}
