/**
 * The errors with which a request can end. An error has a code for programs and a message for people. The API of the
 * client decides on the HTTP status (`api/openai-chat/error-response.ts`).
 */

/** What happened. Clients, tests and the turns table identify an error by its code, since the message may change. */
export type ErrorCode =
  // The request
  | "invalid_json"
  | "invalid_request"
  | "request_too_large"
  | "unsupported_encoding"
  | "context_length_exceeded"
  | "workspace_not_allowed"
  | "model_not_found"
  | "session_not_found"
  | "previous_response_not_found"
  | "response_not_found"
  | "permission_not_found"
  | "unknown_url"
  | "method_not_allowed"
  | "not_running"
  // Authorization
  | "invalid_api_key"
  | "invalid_page_code"
  | "too_many_attempts"
  | "role_not_allowed"
  | "host_not_allowed"
  | "origin_not_allowed"
  // Capacity
  | "queue_full"
  | "usage_limit_reached"
  | "rate_limited"
  | "overloaded"
  | "shutting_down"
  | "database_unavailable"
  | "node_unavailable"
  | "conversation_moved"
  | "not_owner"
  // Claude Code
  | "claude_not_found"
  | "claude_not_ready"
  | "claude_not_logged_in"
  | "channel_refused"
  | "session_in_use"
  | "message_not_received"
  | "claude_failed"
  | "claude_exited"
  | "claude_account_blocked"
  | "billing_error"
  | "turn_interrupted"
  | "turn_timeout"
  // This program
  | "internal_error";

interface ErrorOptions {
  /** The field of the request that is at fault. */
  readonly param?: string | null | undefined;
  /** Seconds after which the same request may succeed. */
  readonly retryAfter?: number | undefined;
  /** Tools have run for this request, so a client that repeats it would run them twice. */
  readonly workDone?: boolean | undefined;
}

export class RequestError extends Error {
  override name = "RequestError";
  readonly param: string | null;
  /** Seconds after which the same request may succeed; undefined when that is unknown. */
  readonly retryAfter: number | undefined;
  /** Tools have run for this request. */
  readonly workDone: boolean;

  /** @param message one or two sentences for people: what happened, and what to do */
  constructor(
    readonly code: ErrorCode,
    message: string,
    { param = null, retryAfter, workDone = false }: ErrorOptions = {},
  ) {
    super(message);
    this.param = param;
    this.retryAfter = retryAfter;
    this.workDone = workDone;
  }

  /** The same error, for a request for which tools have run. */
  afterWork(): RequestError {
    const { code, message, param, retryAfter } = this;
    return new RequestError(code, message, { param, retryAfter, workDone: true });
  }
}

/** The error for an unexpected exception. The caller logs the exception. */
export const unexpected = () =>
  new RequestError(
    "internal_error",
    "An unexpected error occurred in synthesis. The log has the cause. `synthesis serve` writes the log to stderr.",
  );

/** The error for a request that arrives while the server shuts down. */
export const shuttingDown = () =>
  new RequestError("shutting_down", "synthesis is shutting down. Send the message again after it has restarted.", {
    retryAfter: 5,
  });
