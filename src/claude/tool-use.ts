/** What claude does with a tool, in a few words for a person. */

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
const MAX_CHARACTERS = 200;

/** As `Bash: git push`; only the tool's name when its input says nothing short. */
export function describeToolUse(tool: string, input: unknown): string {
  const fields = typeof input === "object" && input !== null ? (input as Record<string, unknown>) : {};
  const telling = fields[TELLING[tool] ?? ""] ?? Object.values(fields).find((value) => typeof value === "string");
  if (typeof telling !== "string" || telling.trim() === "") return tool;
  const line = telling.trim().replaceAll(/\s+/g, " ");
  return `${tool}: ${line.length > MAX_CHARACTERS ? `${line.slice(0, MAX_CHARACTERS)}…` : line}`;
}
