/**
 * Errors in the shape of OpenAI's API: the body `{"error": {message, type, param, code}}`, the HTTP status, and the
 * headers from which a client library learns whether to repeat the request.
 *
 * Only an error of the client's own key or origin has the status 401, 402 or 403. OpenClaw takes such a status for an
 * invalid key, and disables that key for a minute in all conversations.
 */
import type { ErrorCode, RequestError } from "../../core/errors.ts";
import type { ErrorBody } from "../../wire/errors.ts";
import type { ErrorEvent } from "./extensions.ts";

/**
 * What ends a 503. Waiting ends an overload. If only a person can help, for example by logging in, retries are useless
 * and only delay the error. If both are possible, the error has a `retryAfter` when waiting helps.
 */
type EndedBy = "waiting" | "a person" | "either";

type Status = 400 | 401 | 403 | 404 | 405 | 409 | 413 | 415 | 421 | 429 | 500 | 502 | 503 | 504;

type Kind =
  | readonly [status: Exclude<Status, 503>, type: string]
  | readonly [status: 503, type: string, endedBy: EndedBy];

const kinds: Record<ErrorCode, Kind> = {
  invalid_json: [400, "invalid_request_error"],
  invalid_request: [400, "invalid_request_error"],
  context_length_exceeded: [400, "invalid_request_error"],
  // Only the owner of the account can help, and a 402 would disable the client's key.
  billing_error: [400, "billing_error"],
  claude_account_blocked: [400, "permission_error"],
  workspace_not_allowed: [400, "invalid_request_error"],
  previous_response_not_found: [400, "invalid_request_error"],
  // A person ended the turn. After a 409 or a 5xx, the client library would start it again.
  turn_interrupted: [400, "interrupted_error"],
  invalid_api_key: [401, "invalid_request_error"],
  invalid_page_code: [401, "invalid_request_error"],
  role_not_allowed: [403, "permission_error"],
  host_not_allowed: [403, "permission_error"],
  origin_not_allowed: [403, "permission_error"],
  unknown_url: [404, "invalid_request_error"],
  model_not_found: [404, "invalid_request_error"],
  permission_not_found: [404, "invalid_request_error"],
  session_not_found: [404, "invalid_request_error"],
  response_not_found: [404, "invalid_request_error"],
  method_not_allowed: [405, "invalid_request_error"],
  not_running: [409, "invalid_request_error"],
  request_too_large: [413, "invalid_request_error"],
  unsupported_encoding: [415, "invalid_request_error"],
  queue_full: [429, "rate_limit_error"],
  usage_limit_reached: [429, "rate_limit_error"],
  rate_limited: [429, "rate_limit_error"],
  too_many_attempts: [429, "rate_limit_error"],
  internal_error: [500, "server_error"],
  claude_failed: [502, "server_error"],
  claude_exited: [502, "server_error"],
  shutting_down: [503, "server_error", "waiting"],
  overloaded: [503, "server_error", "waiting"],
  claude_not_found: [503, "server_error", "a person"],
  claude_not_ready: [503, "server_error", "either"],
  claude_not_logged_in: [503, "server_error", "a person"],
  channel_refused: [503, "server_error", "a person"],
  session_in_use: [503, "server_error", "waiting"],
  message_not_received: [503, "server_error", "waiting"],
  database_unavailable: [503, "server_error", "either"],
  node_unavailable: [503, "server_error", "waiting"],
  conversation_moved: [503, "server_error", "waiting"],
  // Only another node gets it, and looks for the owner again.
  not_owner: [421, "server_error"],
  turn_timeout: [504, "server_error"],
};

/** Every code that an error can have. */
export const ERROR_CODES = Object.keys(kinds) as readonly ErrorCode[];

/** The `retry-after` in seconds if waiting helps, but the error has no time. */
const DEFAULT_RETRY_AFTER = 30;
/** The longest `retry-after` in seconds that the SDKs of OpenAI wait for. After a longer one they retry in some seconds. */
const LONGEST_SDK_WAIT = 60;

const WORK_DONE = "Tools have already run for this request. Check what they did before you send it again.";

/** Whether OpenAI's libraries repeat a request automatically after this status. */
const isRetried = (status: Status): boolean => status === 409 || status === 429 || status >= 500;

/** Whether the client library must not repeat the request, although the status of the code would make it do so. */
const isFinal = ({ code, workDone }: RequestError): boolean => workDone && isRetried(kinds[code][0]);

/** The HTTP status of an error. */
export const errorStatus = (error: RequestError): Status => (isFinal(error) ? 400 : kinds[error.code][0]);

/** The message for people. */
export const errorMessage = (error: RequestError): string =>
  isFinal(error) ? `${error.message} ${WORK_DONE}` : error.message;

/** The body of an error response, or the last event of a stream. */
export const errorBody = (error: RequestError): ErrorBody =>
  ({
    error: { message: errorMessage(error), type: kinds[error.code][1], param: error.param, code: error.code },
  }) satisfies ErrorEvent;

/** The headers that an error needs besides its body. */
export function errorHeaders(error: RequestError): Record<string, string> {
  // The SDKs of OpenAI and Anthropic retry every 429 and 5xx unless this header forbids it.
  const noRetry = { "x-should-retry": "false" };
  if (isFinal(error)) return noRetry;
  const [status, , endedBy] = kinds[error.code];
  const retryAfter = error.retryAfter ?? (endedBy === "waiting" ? DEFAULT_RETRY_AFTER : undefined);
  if (retryAfter !== undefined && endedBy !== "a person") {
    return { "retry-after": `${retryAfter}`, ...(retryAfter > LONGEST_SDK_WAIT ? noRetry : {}) };
  }
  if (status === 503) return noRetry;
  // RFC 9110 requires a 401 to name the authentication scheme.
  return status === 401 ? { "www-authenticate": "Bearer" } : {};
}

/** The whole HTTP response for an error. */
export const errorResponse = (error: RequestError): Response =>
  Response.json(errorBody(error), { status: errorStatus(error), headers: errorHeaders(error) });
