/** Describes a tool use of Claude to a person: on one line, in full for a permission prompt, and its content. */
import { createHash } from "node:crypto";
import { visibleLine } from "../core/visible-text.ts";

type Fields = Readonly<Record<string, unknown>>;

interface KnownTool {
  /** The input field that says most about the tool use. */
  readonly mainField: string;
  /** The text that the tool writes or passes on; null when the input does not have the expected fields. */
  readonly content?: (fields: Fields) => string | null;
  /** The fields that `content` covers. */
  readonly inContent?: readonly string[];
  /** Fields that do not matter for a decision. */
  readonly unimportant?: readonly string[];
}

const field =
  (name: string) =>
  (fields: Fields): string | null =>
    typeof fields[name] === "string" ? fields[name] : null;

const agent: KnownTool = { mainField: "description", content: field("prompt"), inContent: ["prompt"] };

const TOOLS: Readonly<Record<string, KnownTool>> = {
  Bash: { mainField: "command", unimportant: ["description", "timeout"] },
  Read: { mainField: "file_path", unimportant: ["offset", "limit", "pages"] },
  Edit: { mainField: "file_path", content: editDiff, inContent: ["old_string", "new_string"] },
  MultiEdit: { mainField: "file_path", content: editsDiff, inContent: ["edits"] },
  Write: { mainField: "file_path", content: field("content"), inContent: ["content"] },
  NotebookEdit: { mainField: "notebook_path", content: field("new_source"), inContent: ["new_source"] },
  Glob: { mainField: "pattern" },
  Grep: { mainField: "pattern" },
  WebFetch: { mainField: "url", content: field("prompt"), inContent: ["prompt"] },
  WebSearch: { mainField: "query" },
  Agent: agent,
  Task: agent,
};

/** Length of a short description, in characters. */
const SHORT_LENGTH = 200;
/** How much of an input is searched for secrets for a short description: a secret beyond this would not be shown. */
const SHORT_SEARCHED = 10_000;
/** How much of it is put on one line. It is more than is shown, because white space becomes shorter. */
const SHORT_CONSIDERED = 2_000;
/** Length of the line for a permission prompt, in characters. */
const FULL_LENGTH = 1_500;

/** Removes secrets from a text. */
type Hide = (text: string) => string;

/** What a tool writes or passes on. */
export interface ToolContent {
  /** The whole text without secrets. It may contain invisible characters. */
  readonly text: string;
  /** Size of the text as the tool gets it, secrets included. */
  readonly bytes: number;
  /** The first 16 hexadecimal digits of the hash of the text as the tool gets it. */
  readonly sha256: string;
}

/** A short description on one line, such as `Bash: git push`; only the tool's name when the input has no text. */
export function describeToolUse(tool: string, input: unknown, hide: Hide): string {
  const fields = fieldsOf(input);
  const main =
    fields[knownTool(tool)?.mainField ?? ""] ?? Object.values(fields).find((value) => typeof value === "string");
  const whole = typeof main === "string" ? main.trimStart() : "";
  const text = onOneLine(hide(whole.slice(0, SHORT_SEARCHED)).slice(0, SHORT_CONSIDERED));
  const start = startOf(text, SHORT_LENGTH);
  return withName(tool, "", start.length < text.length || whole.length > SHORT_CONSIDERED ? `${start}…` : text);
}

/**
 * The line for a permission prompt. It says how much it leaves out, and shows the whole input of an unknown tool. What
 * the tool writes or passes on is in `toolContent`.
 */
export const spellOutToolUse = (tool: string, input: unknown, hide: Hide): string => spellOut(tool, input, hide).line;

/** What matters for a decision and is not on the line; null when the line is complete. */
export function toolContent(tool: string, input: unknown, hide: Hide): ToolContent | null {
  const fields = fieldsOf(input);
  const text = contentOf(tool, fields, spellOut(tool, input, hide).cut);
  if (text === null) return null;
  const sha256 = createHash("sha256").update(text).digest("hex").slice(0, 16);
  return { text: hide(text), bytes: Buffer.byteLength(text), sha256 };
}

/** @param cut what the line shows only in part: the main field, or more than that; null when the line is complete */
function contentOf(tool: string, fields: Fields, cut: Cut): string | null {
  const { mainField = "", content, inContent = [] } = knownTool(tool) ?? {};
  const own = content?.(fields) ?? null;
  const isMissing = own === null && inContent.some((name) => name in fields);
  if (cut === null && !isMissing) return own;
  const main = fields[mainField];
  return cut === "main" && !content && typeof main === "string" ? main : JSON.stringify(fields, null, 2);
}

type Cut = "main" | "more" | null;

function spellOut(tool: string, input: unknown, hide: Hide): { line: string; cut: Cut } {
  const fields = fieldsOf(input);
  const known = knownTool(tool);
  const main = fields[known?.mainField ?? ""];
  if (!known || typeof main !== "string") {
    const { shown, isWhole } = cutMiddle(onOneLine(hide(JSON.stringify(fields))), FULL_LENGTH);
    return { line: withName(tool, "", shown), cut: isWhole ? null : "more" };
  }
  const elsewhere = [known.mainField, ...(known.inContent ?? []), ...(known.unimportant ?? [])];
  // These come first, so that a long text does not hide, for example, that a command runs outside the sandbox.
  const others = Object.entries(fields)
    .filter(([name, value]) => !elsewhere.includes(name) && value !== false && value !== null && value !== undefined)
    .map(([name, value]) => `${name}: ${hide(JSON.stringify(value))}`);
  const options = cutMiddle(onOneLine(others.join(", ")), FULL_LENGTH);
  const text = cutMiddle(onOneLine(hide(main)), FULL_LENGTH);
  const cut = options.isWhole ? (text.isWhole ? null : "main") : "more";
  return { line: withName(tool, options.shown, text.shown), cut };
}

/** A line of at most about `most` visible characters. The middle is left out, because either end may matter. */
function cutMiddle(line: string, most: number): { shown: string; isWhole: boolean } {
  const all = startOf(line, most);
  if (all.length === line.length) return { shown: visibleLine(line), isWhole: true };
  const [start, end] = [startOf(line, most / 2), endOf(line, most / 2)];
  const left = line.length - start.length - end.length;
  return {
    shown: `${visibleLine(start)} […${left} characters that are not shown…] ${visibleLine(end)}`,
    isWhole: false,
  };
}

/** The longest beginning of a text that takes at most `most` characters when it is shown. */
export function startOf(text: string, most: number, show = visibleLine): string {
  let length = Math.min(text.length, most);
  for (;;) {
    const start = text.slice(0, length).replace(/[\ud800-\udbff]$/, length < text.length ? "" : "$&");
    const over = show(start).length - most;
    if (over <= 0) return start;
    // One character takes at most nine when it is shown by its code point.
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

function withName(tool: string, options: string, text: string): string {
  const name = visibleLine(startOf(tool, SHORT_LENGTH)) + (options === "" ? "" : ` (${options})`);
  return text === "" ? name : `${name}: ${visibleLine(text)}`;
}

/** The text on one line. A line end becomes `⏎`, because it matters to a shell; other white space becomes one space. */
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

/** Removed lines with `-` and added lines with `+`, between the lines that both texts begin and end with. */
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
