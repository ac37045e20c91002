/** What Claude Code reports about a model request that failed. */
import { expect, test } from "bun:test";
import { readFailureRow } from "../../src/claude/model-failure.ts";

test("a failed model request is read from its row in the transcript and from its line of `claude -p`", () => {
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
