/** What a client gets when the model's API did not answer. */

import { describe, expect, test } from "bun:test";
import { errorHeaders, errorResponse, errorStatus } from "../../src/api/openai-chat/error-response.ts";
import { failureFromHook, type ModelFailure, readFailureRow } from "../../src/claude/model-failure.ts";
import { RequestError } from "../../src/core/errors.ts";
import { outcomeOf } from "../../src/turn/model-error.ts";

const NOW = Date.parse("2026-11-26T12:00:00Z");
const failure = (
  kind: string,
  status: number | null,
  message = "",
  more: Partial<ModelFailure> = {},
): ModelFailure => ({
  ...failureFromHook(kind, message),
  status,
  ...more,
});
const seen = (one: ModelFailure): unknown => {
  const outcome = outcomeOf(one, NOW);
  return outcome instanceof RequestError
    ? [errorStatus(outcome), outcome.code, Number(errorHeaders(outcome)["retry-after"]) || null]
    : outcome.reason;
};

describe("a failed model request", () => {
  const cases: [what: string, failure: ModelFailure, seen: unknown][] = [
    ["an overload", failure("server_error", 529), [503, "overloaded", 30]],
    ["an overload, by its kind", failure("overloaded", null), [503, "overloaded", 30]],
    ["a fault of the API", failure("server_error", 500), [502, "claude_failed", null]],
    ["a gateway that is down", failure("server_error", 503), [502, "claude_failed", null]],
    ["a dropped connection", failure("server_error", null), [502, "claude_failed", null]],
    ["a time-out", failure("unknown", 408), [502, "claude_failed", null]],
    ["a request that the API refuses", failure("unknown", 400), [400, "invalid_request", null]],
    ["an invalid request", failure("invalid_request", null), [400, "invalid_request", null]],
    ["an entity it cannot process", failure("unknown", 422), [400, "invalid_request", null]],
    [
      "a prompt too long",
      failure("invalid_request", 400, "Prompt is too long · x"),
      [400, "context_length_exceeded", null],
    ],
    ["too many bytes", failure("invalid_request", 413, "Request too large"), [400, "context_length_exceeded", null]],
    ["a login that is rejected", failure("authentication_failed", 401), [503, "claude_not_logged_in", null]],
    ["a model that is not there", failure("model_not_found", 404), [404, "model_not_found", null]],
    ["no credit", failure("billing_error", 400), [400, "billing_error", null]],
    ["a payment that is due", failure("unknown", 402), [400, "billing_error", null]],
    ["an account on hold", failure("account_on_hold", 403), [400, "claude_account_blocked", null]],
    ["a limit", failure("rate_limit", 429), [429, "rate_limited", 60]],
    [
      "a limit with its end",
      failure("rate_limit", 429, "", { resetsAt: NOW / 1000 + 4321 }),
      [429, "rate_limited", 4321],
    ],
    ["a limit that is over", failure("rate_limit", 429, "", { resetsAt: NOW / 1000 - 5 }), [429, "rate_limited", 1]],
    ["a limit with its end in words", failure("rate_limit", 429, "resets 3pm (UTC)"), [429, "rate_limited", 10_800]],
    ["a length that is reached", failure("max_output_tokens", null), "length"],
    ["a refusal", failure("invalid_request", null, "", { isRefusal: true }), "content_filter"],
    [
      "a refusal, by its words",
      failureFromHook("invalid_request", "Opus's safeguards flagged this message"),
      "content_filter",
    ],
    [
      "an overload, by its words",
      failureFromHook("server_error", "API Error: 529 Overloaded."),
      [503, "overloaded", 30],
    ],
    ["something new", failure("brand_new", null), [502, "claude_failed", null]],
  ];
  test.each(cases)("%s", (_what, one, expected) => {
    expect(seen(one)).toEqual(expected);
  });

  test("names the field that is too long", () => {
    expect(outcomeOf(failure("invalid_request", 413), NOW)).toMatchObject({ param: "messages" });
  });

  test("is read from claude's row in the transcript, and from that of `claude -p`", () => {
    const message = { stop_reason: "stop_sequence", content: [{ type: "text", text: "You've hit your limit" }] };
    const transcript = { message, error: "rate_limit", apiErrorStatus: 429, quotaLimits: { resetsAt: 7 } };
    const line = {
      message,
      error: "rate_limit",
      api_error_status: 429,
      api_error_params: { rate_limit_info: { resetsAt: 7 } },
    };
    const read = { kind: "rate_limit", message: "You've hit your limit", status: 429, isRefusal: false, resetsAt: 7 };
    expect(readFailureRow(transcript)).toEqual(read);
    expect(readFailureRow(line)).toEqual(read);
    expect(readFailureRow({ message: { stop_reason: "refusal" }, error: "invalid_request" })?.isRefusal).toBe(true);
    expect(readFailureRow({ error: "unknown" })).toBeNull();
  });
});

describe("after work was done", () => {
  test.each([
    ["rate_limited", 400],
    ["claude_failed", 400],
    ["turn_timeout", 400],
    ["context_length_exceeded", 400],
    ["model_not_found", 404],
  ] as const)("%s is no status that a client retries", async (code, status) => {
    const response = errorResponse(new RequestError(code, "It failed.", { retryAfter: 60 }).afterWork());
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    expect([response.status, error.code]).toEqual([status, code]);
    const isChanged = code !== "context_length_exceeded" && code !== "model_not_found";
    expect(response.headers.get("x-should-retry")).toBe(isChanged ? "false" : null);
    expect(response.headers.has("retry-after")).toBe(!isChanged);
    expect(error.message.includes("have already run")).toBe(isChanged);
  });
});
