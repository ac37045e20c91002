/**
 * Every error a client can get, in OpenAI's shape: `{"error": {message, type, param, code}}`.
 *
 * 401, 402 and 403 are kept for the client's own key and origin. A fault on claude's side never uses
 * them: OpenClaw takes such an answer for a bad key and disables it for a minute, for everybody.
 */

const kinds = {
  invalid_json: [400, "invalid_request_error"],
  invalid_request: [400, "invalid_request_error"],
  workspace_not_allowed: [400, "invalid_request_error"],
  // Somebody wanted it ended: a 409 or a 5xx would make the client begin it once more.
  turn_interrupted: [400, "interrupted_error"],
  invalid_api_key: [401, "invalid_request_error"],
  host_not_allowed: [403, "permission_error"],
  origin_not_allowed: [403, "permission_error"],
  unknown_url: [404, "invalid_request_error"],
  model_not_found: [404, "invalid_request_error"],
  permission_not_found: [404, "invalid_request_error"],
  session_not_found: [404, "invalid_request_error"],
  method_not_allowed: [405, "invalid_request_error"],
  not_running: [409, "invalid_request_error"],
  request_too_large: [413, "invalid_request_error"],
  queue_full: [429, "rate_limit_error"],
  rate_limited: [429, "rate_limit_error"],
  internal_error: [500, "server_error"],
  claude_failed: [502, "server_error"],
  claude_exited: [502, "server_error"],
  shutting_down: [503, "server_error"],
  overloaded: [503, "server_error"],
  claude_not_found: [503, "server_error"],
  claude_not_ready: [503, "server_error"],
  claude_not_logged_in: [503, "server_error"],
  channel_refused: [503, "server_error"],
  session_in_use: [503, "server_error"],
  message_not_received: [503, "server_error"],
  database_unavailable: [503, "server_error"],
  turn_timeout: [504, "server_error"],
} as const satisfies Record<string, readonly [number, string]>;

export type ErrorCode = keyof typeof kinds;

export class ApiError extends Error {
  override name = "ApiError";
  readonly status: (typeof kinds)[ErrorCode][0];
  readonly type: string;

  /**
   * @param message one or two sentences for the person who reads it: what happened and what to do
   * @param param the field of the request that is at fault
   * @param retryAfter seconds after which the same request may succeed
   */
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly param: string | null = null,
    readonly retryAfter?: number,
  ) {
    super(message);
    [this.status, this.type] = kinds[code];
  }

  get body() {
    return { error: { message: this.message, type: this.type, param: this.param, code: this.code } };
  }

  toResponse(): Response {
    const headers: Record<string, string> =
      this.retryAfter === undefined ? {} : { "retry-after": `${this.retryAfter}` };
    return Response.json(this.body, { status: this.status, headers });
  }
}

/** What nobody has foreseen. The log must have it already, or get it from whoever makes this. */
export const unexpected = () =>
  new ApiError(
    "internal_error",
    "Something went wrong inside synthesis. What it was stands in the log, which `synthesis serve` writes to stderr.",
  );

/** What everybody is told who comes while the server ends. */
export const shuttingDown = () =>
  new ApiError("shutting_down", "synthesis is shutting down. Send the message again when it runs again.", null, 5);
