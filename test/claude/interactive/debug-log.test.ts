/** What claude's debug log says of model requests. */
import { expect, test } from "bun:test";
import type { ApiActivity } from "../../../src/claude/agent-process.ts";
import { readApiActivity } from "../../../src/claude/interactive/debug-log.ts";

const cases: [line: string, sign: ApiActivity | null][] = [
  ["[DEBUG] [API REQUEST] /v1/messages source=repl_main_thread", { what: "requested" }],
  ["[DEBUG] [API REQUEST] /v1/messages source=generate_session_title", null],
  ["[DEBUG] Stream started - received first chunk", { what: "answered" }],
  [
    '[ERROR] API error (attempt 1/2): 429 429 {"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}',
    { what: "failed", status: 429, message: "slow down" },
  ],
  ["[ERROR] API error (attempt 2/11): undefined Connection error.", { what: "failed", status: null, message: "" }],
  ["[DEBUG] Hooks: HTTP hook POST to http://127.0.0.1:1/hooks", null],
];
test.each(cases)("%s", (line, sign) => {
  expect(readApiActivity(`2026-11-26T22:46:59.290Z ${line}`)).toEqual(sign);
});
