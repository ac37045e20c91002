/** How a model request that failed ends the client's answer. */

import { describe, expect, test } from "bun:test";
import { errorHeaders, errorStatus } from "../../src/api/openai-chat/error-response.ts";
import { failureFromText, type ModelFailure } from "../../src/claude/model-failure.ts";
import { RequestError } from "../../src/core/errors.ts";
import { outcomeOf } from "../../src/turn/model-error.ts";

const NOW = Date.parse("2026-11-26T12:00:00Z");
const failure = (
  kind: string,
  status: number | null,
  message = "",
  more: Partial<ModelFailure> = {},
): ModelFailure => ({
  ...failureFromText(kind, message),
  status,
  ...more,
});
const seen = (one: ModelFailure): unknown => {
  const outcome = outcomeOf(one, NOW);
  return outcome instanceof RequestError
    ? [errorStatus(outcome), outcome.code, Number(errorHeaders(outcome)["retry-after"]) || null]
    : outcome.reason;
};

describe("the error or the end for", () => {
  const cases: [what: string, failure: ModelFailure, seen: unknown][] = [
    ["an overload", failure("server_error", 529), [503, "overloaded", 30]],
    ["an overload that only its kind shows", failure("overloaded", null), [503, "overloaded", 30]],
    ["an internal error of the API", failure("server_error", 500), [502, "claude_failed", null]],
    ["a gateway that is down", failure("server_error", 503), [502, "claude_failed", null]],
    ["a dropped connection", failure("server_error", null), [502, "claude_failed", null]],
    ["a time-out", failure("unknown", 408), [502, "claude_failed", null]],
    ["a request that the API refuses", failure("unknown", 400), [400, "invalid_request", null]],
    ["an invalid request", failure("invalid_request", null), [400, "invalid_request", null]],
    ["a request that the API cannot process", failure("unknown", 422), [400, "invalid_request", null]],
    [
      "a prompt that is too long",
      failure("invalid_request", 400, "Prompt is too long · x"),
      [400, "context_length_exceeded", null],
    ],
    [
      "a request with too many bytes",
      failure("invalid_request", 413, "Request too large"),
      [400, "context_length_exceeded", null],
    ],
    ["a login that is rejected", failure("authentication_failed", 401), [503, "claude_not_logged_in", null]],
    ["a model that does not exist", failure("model_not_found", 404), [404, "model_not_found", null]],
    ["an account without credit", failure("billing_error", 400), [400, "billing_error", null]],
    ["a payment that is due", failure("unknown", 402), [400, "billing_error", null]],
    ["an account on hold", failure("account_on_hold", 403), [400, "claude_account_blocked", null]],
    ["a rate limit", failure("rate_limit", 429), [429, "rate_limited", 60]],
    [
      "a rate limit whose end is known",
      failure("rate_limit", 429, "", { resetsAt: NOW / 1000 + 4321 }),
      [429, "rate_limited", 4321],
    ],
    [
      "a rate limit that has ended",
      failure("rate_limit", 429, "", { resetsAt: NOW / 1000 - 5 }),
      [429, "rate_limited", 1],
    ],
    [
      "a rate limit whose end is in the message",
      failure("rate_limit", 429, "resets 3pm (UTC)"),
      [429, "rate_limited", 10_800],
    ],
    [
      "a window of the plan that is used up",
      failure("rate_limit", 429, "", { window: "five_hour", resetsAt: NOW / 1000 + 4321 }),
      [429, "usage_limit_reached", 4321],
    ],
    [
      "a window of the plan whose reset is in the message",
      failureFromText("rate_limit", "You've hit your session limit · resets 3pm (UTC)"),
      [429, "usage_limit_reached", 10_800],
    ],
    [
      "a window of the plan whose reset is unknown",
      failureFromText("rate_limit", "You've hit your limit"),
      [429, "usage_limit_reached", 300],
    ],
    ["an answer at its length limit", failure("max_output_tokens", null), "length"],
    ["a refusal", failure("invalid_request", null, "", { isRefusal: true }), "content_filter"],
    [
      "a refusal that only the message shows",
      failureFromText("invalid_request", "Opus's safeguards flagged this message"),
      "content_filter",
    ],
    [
      "an overload that only the message shows",
      failureFromText("server_error", "API Error: 529 Overloaded."),
      [503, "overloaded", 30],
    ],
    ["a failure of an unknown kind", failure("brand_new", null), [502, "claude_failed", null]],
  ];
  test.each(cases)("%s", (_what, one, expected) => {
    expect(seen(one)).toEqual(expected);
  });

  test("too many requests in a minute are no usage limit, in the message neither", () => {
    const text = "API Error: Server is temporarily limiting requests (not your usage limit) · Slow down.";
    const { code, message } = outcomeOf(failureFromText("rate_limit", text), NOW) as RequestError;
    expect([code, message.includes("usage limit")]).toEqual(["rate_limited", false]);
  });

  test("a prompt that is too long names the request's field", () => {
    expect(outcomeOf(failure("invalid_request", 413), NOW)).toMatchObject({ param: "messages" });
  });
});
