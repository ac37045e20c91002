/** Why a Claude Code process did not become ready, as data for the program and as an error for the client. */
import { type ErrorCode, RequestError } from "../core/errors.ts";

export type BootFailureReason =
  /** A dialog is open that only a person may answer. */
  | "dialog"
  /** Claude Code refuses the channel through which it receives messages. */
  | "channel_refused"
  | "not_logged_in"
  /** Claude Code does not use a settings file that restricts Claude. */
  | "invalid_settings"
  /** A variable in the environment keeps Claude Code from loading plugins. */
  | "plugins_disabled"
  | "timeout"
  /** The process exited before it was ready. */
  | "exited"
  /** The process exited because it found no conversation to resume. */
  | "session_not_found"
  /** The server stopped the process before it was ready. */
  | "stopped";

const CODES: Partial<Record<BootFailureReason, ErrorCode>> = {
  channel_refused: "channel_refused",
  not_logged_in: "claude_not_logged_in",
};

export class BootFailure extends RequestError {
  /**
   * @param summary what happened and what to do; it is logged
   * @param screen text on the process's terminal, for the client only: it may show what was said in the conversation
   */
  constructor(
    readonly reason: BootFailureReason,
    readonly summary: string,
    { screen = "", retryAfter }: { screen?: string; retryAfter?: number | undefined } = {},
  ) {
    super(CODES[reason] ?? "claude_not_ready", screen === "" ? summary : `${summary} Its screen:\n${screen}`, {
      retryAfter,
    });
  }
}
