/** What keeps everything of the user's setup from Claude, for a request that names no conversation. */

/** Without CLAUDE.md, hooks, plugins, MCP servers and skills. Login and model work as always. */
export const ISOLATION_ARGUMENTS = [
  "--safe-mode",
  "--strict-mcp-config",
  "--setting-sources",
  "user",
  "--disable-slash-commands",
] as const;

/** For a process that is not resumed. */
export const NO_TRANSCRIPT = "--no-session-persistence";

/** No tool may be used that is not allowed, and no person could answer a prompt. */
export const ISOLATION_PERMISSION_MODE = "dontAsk";

export const ISOLATION_VARIABLES = {
  /** Claude Code must not read files that a message names, even if `client_composed` should fail to prevent it. */
  CLAUDE_CODE_DISABLE_ATTACHMENTS: "1",
  /** Telemetry takes a fifth of the startup time, and leaves a file behind when it cannot be sent. */
  DISABLE_TELEMETRY: "1",
} as const;

export const isolationSettings = (env: Readonly<Record<string, string>>): object => ({ disableAllHooks: true, env });

/** The system prompt of a client that sends none. */
export const NO_SYSTEM_PROMPT = "You are a helpful assistant.";
