import { expect, test } from "bun:test";
import { failureFromText, isPlanLimit, readFailureRow } from "../../src/claude/model-failure.ts";

test("a failed model request is read from its row in the transcript and from its line of `claude -p`", () => {
  const message = { stop_reason: "stop_sequence", content: [{ type: "text", text: "You've hit your limit" }] };
  const transcript = { message, error: "rate_limit", apiErrorStatus: 429, quotaLimits: { resetsAt: 7 } };
  const line = {
    message,
    error: "rate_limit",
    api_error_status: 429,
    api_error_params: { rate_limit_info: { resetsAt: 7 } },
  };
  const read = {
    kind: "rate_limit",
    message: "You've hit your limit",
    status: 429,
    isRefusal: false,
    isTooLong: false,
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

test.each<[kind: string, text: string, isLimit: boolean]>([
  ["rate_limit", "You've hit your session limit · resets 3pm (UTC)", true],
  ["rate_limit", "This request would exceed your account's rate limit.", false],
  ["overloaded", "You've hit your limit", false],
])("%s with the text %j is a plan's limit: %p", (kind, text, isLimit) => {
  expect(isPlanLimit(failureFromText(kind, text))).toBe(isLimit);
});
