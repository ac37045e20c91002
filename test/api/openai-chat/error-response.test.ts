/** The headers that tell a client's library whether to send a request again after an error. */
import { describe, expect, test } from "bun:test";
import { errorHeaders, errorResponse } from "../../../src/api/openai-chat/error-response.ts";
import { type ErrorCode, RequestError } from "../../../src/core/errors.ts";

describe("the headers of an error say whether a retry helps", () => {
  const cases: [code: ErrorCode, retryAfter: number | undefined, headers: Record<string, string>][] = [
    ["claude_not_logged_in", undefined, { "x-should-retry": "false" }],
    ["claude_not_logged_in", 60, { "x-should-retry": "false" }],
    ["claude_not_found", 60, { "x-should-retry": "false" }],
    ["channel_refused", 30, { "x-should-retry": "false" }],
    ["claude_not_ready", undefined, { "x-should-retry": "false" }],
    ["claude_not_ready", 30, { "retry-after": "30" }],
    ["database_unavailable", undefined, { "x-should-retry": "false" }],
    ["database_unavailable", 1, { "retry-after": "1" }],
    ["overloaded", undefined, { "retry-after": "30" }],
    ["session_in_use", 7, { "retry-after": "7" }],
    ["shutting_down", 5, { "retry-after": "5" }],
    ["queue_full", 3, { "retry-after": "3" }],
    ["rate_limited", 60, { "retry-after": "60" }],
    ["usage_limit_reached", 60, { "retry-after": "60" }],
    // OpenAI's SDKs do not wait longer than a minute, and would retry in vain.
    ["usage_limit_reached", 61, { "retry-after": "61", "x-should-retry": "false" }],
    ["claude_failed", undefined, {}],
    ["invalid_request", undefined, {}],
    ["invalid_api_key", undefined, { "www-authenticate": "Bearer" }],
  ];
  test.each(cases)("%s with a retryAfter of %p", (code, retryAfter, headers) => {
    const error = new RequestError(code, "It failed.", { retryAfter });
    expect(errorHeaders(error)).toEqual(headers);
    for (const [name, value] of Object.entries(headers)) expect(errorResponse(error).headers.get(name)).toBe(value);
  });
});

describe("the error of a request for which tools have run", () => {
  test.each([
    ["rate_limited", 400],
    ["claude_failed", 400],
    ["turn_timeout", 400],
    ["context_length_exceeded", 400],
    ["model_not_found", 404],
  ] as const)("has a status that no client retries: %s", async (code, status) => {
    const response = errorResponse(new RequestError(code, "It failed.", { retryAfter: 60 }).afterWork());
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    expect([response.status, error.code]).toEqual([status, code]);
    const isChanged = code !== "context_length_exceeded" && code !== "model_not_found";
    expect(response.headers.get("x-should-retry")).toBe(isChanged ? "false" : null);
    expect(response.headers.has("retry-after")).toBe(!isChanged);
    expect(error.message.includes("have already run")).toBe(isChanged);
  });
});
