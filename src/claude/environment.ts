/** The environment of every Claude Code process, however it is run. */
import { absoluteEntries } from "../core/search-path.ts";

type Env = Record<string, string | undefined>;

/** Variables that turn off what an unattended process must not do. Each comment says what Claude Code does otherwise. */
export const UNATTENDED = {
  /** It hides our tools behind a search, which does not find tools that are offered later. */
  ENABLE_TOOL_SEARCH: "false",
  /** It moves an MCP call to the background after two minutes and ends the turn. */
  CLAUDE_CODE_MCP_AUTO_BACKGROUND_MS: "0",
  /** It answers before its sub-agents have finished. */
  CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: "1",
  /** It starts turns on a schedule. */
  CLAUDE_CODE_DISABLE_CRON: "1",
  /** It asks for feedback. */
  CLAUDE_CODE_DISABLE_FEEDBACK_SURVEY: "1",
  DISABLE_COST_WARNINGS: "1",
  DISABLE_ERROR_REPORTING: "1",
  /** It replaces its own program while conversations run. */
  DISABLE_AUTOUPDATER: "1",
};

/**
 * By default Claude Code retries a failed model request ten times, over minutes, before it reports the error. Three
 * retries take about four seconds.
 */
const RETRIES = "3";

/** Whether the user has set the number of retries. */
export const setsRetries = (env: Env): boolean => Boolean(env.CLAUDE_CODE_MAX_RETRIES);

/** Only for the environment, never for `--settings`, so that Claude Code's own settings take precedence. */
export const retries = (env: Env) => ({
  CLAUDE_CODE_MAX_RETRIES: env.CLAUDE_CODE_MAX_RETRIES || RETRIES,
});

/**
 * Variables that Claude Code sets for its child processes. When Claude Code has started synthesis, our own processes
 * must not inherit them: they would behave as children of that process.
 */
export const OF_A_PARENT_CLAUDE = [
  "CLAUDECODE",
  "AI_AGENT",
  "CLAUDE_CODE_CHILD_SESSION",
  "CLAUDE_CODE_CHILD_NOTES_DIR",
  "CLAUDE_CODE_ENTRYPOINT",
  "CLAUDE_CODE_EXECPATH",
  "CLAUDE_CODE_MESSAGING_SOCKET",
  "CLAUDE_CODE_MESSAGING_TOKEN",
  "CLAUDE_CODE_SESSION_ATTENDED",
  "CLAUDE_CODE_SESSION_ID",
  "CLAUDE_EFFORT",
  "CLAUDE_PID",
];

/** The server's environment without synthesis's own variables and those of a parent Claude Code. */
export function inheritedEnvironment(parentEnv: Env): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(parentEnv)) {
    if (value === undefined || name.startsWith("SYNTHESIS_") || OF_A_PARENT_CLAUDE.includes(name)) continue;
    env[name] = name === "PATH" ? absoluteEntries(value) : value;
  }
  return env;
}
