import { expect, test } from "bun:test";
import { failoverResponse, letsFailOver } from "../../../src/api/openclaw/failover.ts";
import { type ErrorCode, RequestError } from "../../../src/core/errors.ts";

test("OpenClaw fails over when this Claude cannot answer, and only before tools have run", () => {
  const limit = new RequestError("usage_limit_reached", "Used up.");
  expect([letsFailOver(limit), letsFailOver(limit.afterWork())]).toEqual([true, false]);
  expect(letsFailOver(new RequestError("invalid_request", "No."))).toBe(false);
});

test.each<[code: ErrorCode, retryAfter: number | undefined, status: number, header: string]>([
  ["claude_not_logged_in", undefined, 503, "100"],
  ["overloaded", 30, 503, "100"],
  ["rate_limited", 60, 429, "100"],
  ["usage_limit_reached", 5_000, 429, "5000"],
])("%s with a retryAfter of %p is not repeated before OpenClaw fails over", (code, retryAfter, status, header) => {
  const response = failoverResponse(new RequestError(code, "Not now.", { retryAfter }));
  // OpenClaw repeats no request for which it has to wait longer than 90 seconds.
  expect([response.status, response.headers.get("retry-after")]).toEqual([status, header]);
});
