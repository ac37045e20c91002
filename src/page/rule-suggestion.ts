/** A permission rule of Claude Code to start from, for a permission prompt. */

/** Characters that Claude Code's rules cannot have, see `permissionVerdict`, or that would match more than is asked for. */
const UNFIT = /[()\n*?[\]!]/;

/**
 * A rule that matches just what Claude asks for, to start from. It is empty where a rule would be wide: the name of a tool
 * alone allows everything that the tool can do.
 */
export function suggestRule(tool: string, input: unknown): string {
  const { command, url, file_path } = (input ?? {}) as Record<string, unknown>;
  const within = (part: string) => (UNFIT.test(part) ? "" : `${tool}(${part})`);
  if (tool === "Bash" && typeof command === "string") return within(command);
  if (tool === "WebFetch" && typeof url === "string" && URL.canParse(url))
    return within(`domain:${new URL(url).hostname}`);
  // Claude Code reads a path with one slash at its beginning as one within the settings' folder.
  if (typeof file_path === "string" && file_path.startsWith("/")) return within(`/${file_path}`);
  return "";
}
