import { expect, test } from "bun:test";
import { failureFromText, readFailureRow } from "../../src/claude/model-failure.ts";

test("a failed model request is read from its row in the transcript and from its line of `claude -p`", () => {
  const message = { stop_reason: "stop_sequence", content: [{ type: "text", text: "You've hit your limit" }] };
  const limit = { status: "rejected", resetsAt: 7, rateLimitType: "seven_day_opus", isUsingOverage: false };
  const transcript = { message, error: "rate_limit", apiErrorStatus: 429, quotaLimits: limit };
  const line = { message, error: "rate_limit", api_error_status: 429, api_error_params: { rate_limit_info: limit } };
  const read = {
    kind: "rate_limit",
    message: "You've hit your limit",
    status: 429,
    isRefusal: false,
    isTooLong: false,
    window: "seven_day_opus",
    resetsAt: 7,
  };
  expect(readFailureRow(transcript)).toEqual(read);
  expect(readFailureRow(line)).toEqual(read);
  expect(readFailureRow({ message: { stop_reason: "refusal" }, error: "invalid_request" })?.isRefusal).toBe(true);
  expect(readFailureRow({ error: "unknown" })).toBeNull();
});

test.each<[kind: string, text: string, expected: object]>([
  ["unknown", "API Error: 529 Overloaded", { status: 529 }],
  ["authentication_failed", "Please run /login · API Error: 401 Invalid token", { status: 401 }],
  ["unknown", "Connection error.", { status: null }],
  ["invalid_request", "Our safeguards flagged this message", { isRefusal: true }],
  ["invalid_request", "Prompt is too long", { isTooLong: true }],
  ["invalid_request", "Request too large (max 32 MB)", { isTooLong: true }],
  ["invalid_request", "messages.0: unexpected field", { isRefusal: false, isTooLong: false }],
])("without a row, %s with the text %j is understood", (kind, text, expected) => {
  expect(failureFromText(kind, text)).toMatchObject(expected);
});

test.each<[kind: string, text: string, window: string | null]>([
  ["rate_limit", "You've hit your session limit · resets 3pm (UTC)", "five_hour"],
  ["rate_limit", "You've hit your 5-hour limit · resets 3pm (UTC)", "five_hour"],
  ["rate_limit", "You've hit your weekly limit · resets 3pm (UTC)", "seven_day"],
  ["rate_limit", "You've hit your Opus limit · resets 3pm (UTC)", "seven_day_opus"],
  ["rate_limit", "You've hit your limit · resets 3pm (UTC)", "unknown"],
  ["rate_limit", "This request would exceed your account's rate limit.", null],
  ["overloaded", "You've hit your limit", null],
])("%s with the text %j is the end of the window %p", (kind, text, window) => {
  expect(failureFromText(kind, text).window).toBe(window);
});

test.each<[what: string, limit: object, window: string | null]>([
  ["names a window that is used up", { resetsAt: 7, rateLimitType: "five_hour" }, "five_hour"],
  ["has a reset and no name", { resetsAt: 7 }, "unknown"],
  ["has no reset, because there were too many requests", { status: "rejected", isUsingOverage: false }, null],
  ["is that of an account that pays for more", { resetsAt: 7, rateLimitType: "five_hour", isUsingOverage: true }, null],
])("a row whose limit %s", (_what, quotaLimits, window) => {
  const message = { stop_reason: "stop_sequence", content: [{ type: "text", text: "Slow down." }] };
  expect(readFailureRow({ message, error: "rate_limit", quotaLimits })?.window).toBe(window);
});
