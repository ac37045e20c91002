/**
 * Every error a client can get, in OpenAI's shape: `{"error": {message, type, param, code}}`.
 *
 * 401, 402 and 403 are kept for the client's own key and origin. A fault on claude's side never uses
 * them: OpenClaw takes such an answer for a bad key and disables it for a minute, for everybody.
 */

/**
 * How a 503 ends. Waiting ends a full queue or an overload. Where only a person helps (a missing login, a missing
 * program), a retry delays the error and changes nothing. Where both can be, the error says it with `retryAfter`.
 */
type Ending = "by waiting" | "by a person" | "by either";

type Kind =
  | readonly [status: 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 429 | 500 | 502 | 504, type: string]
  | readonly [status: 503, type: string, ends: Ending];

const kinds = {
  invalid_json: [400, "invalid_request_error"],
  invalid_request: [400, "invalid_request_error"],
  context_length_exceeded: [400, "invalid_request_error"],
  // Anthropic wants something of the account's owner: no retry helps, and 402 would disable the client's key.
  billing_error: [400, "billing_error"],
  claude_account_blocked: [400, "permission_error"],
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
  unsupported_encoding: [415, "invalid_request_error"],
  queue_full: [429, "rate_limit_error"],
  rate_limited: [429, "rate_limit_error"],
  internal_error: [500, "server_error"],
  claude_failed: [502, "server_error"],
  claude_exited: [502, "server_error"],
  shutting_down: [503, "server_error", "by waiting"],
  overloaded: [503, "server_error", "by waiting"],
  claude_not_found: [503, "server_error", "by a person"],
  claude_not_ready: [503, "server_error", "by either"],
  claude_not_logged_in: [503, "server_error", "by a person"],
  channel_refused: [503, "server_error", "by a person"],
  session_in_use: [503, "server_error", "by waiting"],
  message_not_received: [503, "server_error", "by waiting"],
  database_unavailable: [503, "server_error", "by either"],
  turn_timeout: [504, "server_error"],
} as const satisfies Record<string, Kind>;

/** For an error that ends by waiting and does not say how long. */
const USUAL_WAIT_SECONDS = 30;

export type ErrorCode = keyof typeof kinds;

const WORK_DONE = "Tools have already run for this request. Look at what was done before you send it again.";

/** Whether OpenAI's libraries send a request again by themselves after this status. */
const isRetried = (status: number): boolean => status === 408 || status === 409 || status === 429 || status >= 500;

export class RequestError extends Error {
  override name = "ApiError";
  readonly status: (typeof kinds)[ErrorCode][0];
  readonly type: string;
  /** Seconds after which the same request may succeed; undefined when that is unknown, or when waiting does not help. */
  readonly retryAfter: number | undefined;
  /** The client's library must not send the request again by itself, whatever it does with this status. */
  readonly isFinal: boolean;

  /**
   * @param message one or two sentences for the person who reads it: what happened and what to do
   * @param param the field of the request that is at fault
   * @param retryAfter seconds after which the same request may succeed; dropped where waiting does not help
   * @param hasWorked tools have run for this request: a client that sent it again by itself would run them twice
   */
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly param: string | null = null,
    retryAfter?: number,
    hasWorked = false,
  ) {
    super(message);
    const [status, type, ends]: Kind = kinds[code];
    this.isFinal = hasWorked && isRetried(status);
    this.status = this.isFinal ? 400 : (status as (typeof kinds)[ErrorCode][0]);
    this.type = type;
    const wait = retryAfter ?? (ends === "by waiting" ? USUAL_WAIT_SECONDS : undefined);
    this.retryAfter = this.isFinal || ends === "by a person" ? undefined : wait;
  }

  /** The same error of a request for which tools have run. */
  afterWork(): RequestError {
    if (!isRetried(this.status)) return this;
    return new RequestError(this.code, `${this.message} ${WORK_DONE}`, this.param, undefined, true);
  }

  get body() {
    return { error: { message: this.message, type: this.type, param: this.param, code: this.code } };
  }

  /** What a client needs besides the body. */
  get headers(): Record<string, string> {
    if (this.retryAfter !== undefined) return { "retry-after": `${this.retryAfter}` };
    // The SDKs of OpenAI and Anthropic retry every 5xx unless this header says otherwise.
    if (this.isFinal || this.status === 503) return { "x-should-retry": "false" };
    // RFC 9110 wants each 401 to name the scheme that it asks for.
    return this.status === 401 ? { "www-authenticate": "Bearer" } : {};
  }

  toResponse(): Response {
    return Response.json(this.body, { status: this.status, headers: this.headers });
  }
}

/** What nobody has foreseen. The log must have it already, or get it from whoever makes this. */
export const unexpected = () =>
  new RequestError(
    "internal_error",
    "Something went wrong inside synthesis. What it was stands in the log, which `synthesis serve` writes to stderr.",
  );

/** What everybody is told who comes while the server ends. */
export const shuttingDown = () =>
  new RequestError("shutting_down", "synthesis is shutting down. Send the message again when it runs again.", null, 5);
