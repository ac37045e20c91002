/** Why a Claude Code process could not be started, as errors for the client. */
import { RequestError } from "../core/errors.ts";

/** The configured program does not exist. */
export const claudeNotFound = (claudeBin: string): RequestError =>
  new RequestError(
    "claude_not_found",
    `There is no program ${claudeBin}. Install Claude Code (npm install -g @anthropic-ai/claude-code) or set ` +
      "SYNTHESIS_CLAUDE_BIN to its path.",
  );

/** No message can be answered before a person logs in. */
export const notLoggedIn = (): RequestError =>
  new RequestError(
    "claude_not_logged_in",
    "Claude Code is not logged in, or its login has expired. Run `claude` in a terminal and use /login.",
    { retryAfter: 60 },
  );

/** System errors that a later attempt may not meet: the system is short of something, or an update replaces the program. */
const TEMPORARY_ERRORS = ["EAGAIN", "ENOMEM", "EMFILE", "ENFILE", "ETXTBSY"];

/** The system refused to start the program. */
export function spawnFailed(error: NodeJS.ErrnoException): RequestError {
  const isTemporary = TEMPORARY_ERRORS.includes(error.code ?? "");
  return new RequestError(
    isTemporary ? "claude_not_ready" : "claude_not_found",
    `Claude Code could not be started: ${error.message}. Run \`synthesis doctor\` to find the cause.`,
    { retryAfter: isTemporary ? 5 : undefined },
  );
}
