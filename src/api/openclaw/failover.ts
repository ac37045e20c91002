/**
 * The errors with which OpenClaw answers from the next model of its configuration, in the same run. They say that this
 * Claude cannot answer now, and another model can.
 */
import { type ErrorCode, RequestError } from "../../core/errors.ts";
import { errorResponse } from "../openai-chat/error-response.ts";

const CODES: ReadonlySet<ErrorCode> = new Set([
  "usage_limit_reached",
  "rate_limited",
  "overloaded",
  "claude_not_logged_in",
]);

/**
 * In seconds. OpenClaw repeats a failed request on the same model for 90 seconds, and at a rate limit up to nine times. It
 * does not if it would have to wait longer than these 90 seconds, or than a minute at a rate limit while it has another
 * model.
 */
const TOO_LONG_TO_WAIT_S = 100;

/** Whether OpenClaw should fail over. After tools have run it must not, because another model would run them again. */
export const letsFailOver = (error: unknown): error is RequestError =>
  error instanceof RequestError && CODES.has(error.code) && !error.workDone;

/** The HTTP response for such an error, with which OpenClaw fails over at once. Claude Code has repeated the request itself. */
export function failoverResponse(error: RequestError): Response {
  const response = errorResponse(error);
  const retryAfter = Math.max(Number(response.headers.get("retry-after")), TOO_LONG_TO_WAIT_S);
  response.headers.set("retry-after", `${retryAfter}`);
  return response;
}
