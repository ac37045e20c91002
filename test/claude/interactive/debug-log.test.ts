import { describe, expect, test } from "bun:test";
import type { ApiActivity } from "../../../src/claude/agent-process.ts";
import { readApiActivity, readChannelState } from "../../../src/claude/interactive/debug-log.ts";

const line = (text: string) => `2026-11-26T22:46:59.290Z ${text}`;

describe("readApiActivity", () => {
  const cases: [text: string, activity: ApiActivity | null][] = [
    ["[DEBUG] [API REQUEST] /v1/messages source=repl_main_thread", { what: "requested" }],
    ["[DEBUG] [API REQUEST] /v1/messages source=generate_session_title", null],
    ["[DEBUG] Stream started - received first chunk", { what: "answered" }],
    [
      '[ERROR] Error streaming, falling back to non-streaming mode: {"type":"error","error":{"type":"overloaded_error"}}',
      { what: "broken_off" },
    ],
    [
      '[ERROR] API error (attempt 1/2): 429 429 {"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}',
      { what: "failed", status: 429, message: "slow down" },
    ],
    ["[ERROR] API error (attempt 2/11): undefined Connection error.", { what: "failed", status: null, message: "" }],
    ["[DEBUG] Hooks: HTTP hook POST to http://127.0.0.1:1/hooks", null],
  ];
  test.each(cases)("%s", (text, activity) => {
    expect(readApiActivity(line(text))).toEqual(activity);
  });
});

describe("readChannelState", () => {
  const refused = (refusal: string, text: string) => ({ registered: false, refusal, text });
  const cases: [text: string, state: object | null][] = [
    ["[DEBUG] Channel notifications registered", { registered: true }],
    [
      "[DEBUG] Channel notifications skipped: channels are not currently available",
      refused("unavailable", "channels are not currently available"),
    ],
    [
      "[DEBUG] Channel notifications skipped: third-party providers have no channels",
      refused("provider", "third-party providers have no channels"),
    ],
    [
      "[DEBUG] Channel notifications skipped: plugin is not on the allowlist",
      refused("not_allowed", "plugin is not on the allowlist"),
    ],
    ["[DEBUG] Channel notifications skipped: a new reason", refused("other", "a new reason")],
    ["[DEBUG] Hooks: HTTP hook POST to http://127.0.0.1:1/hooks", null],
  ];
  test.each(cases)("%s", (text, state) => {
    expect(readChannelState(line(text))).toEqual(state as never);
  });
});
