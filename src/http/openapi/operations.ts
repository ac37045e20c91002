/**
 * What each route does, which key opens it and what it answers. `bun run docs` makes the table of routes in
 * docs/http-api.md from it.
 */
import { z } from "zod";
import type { ErrorCode } from "../../core/errors.ts";
import { allowedRoots, configDifference } from "../../wire/config.ts";
import { limitsReport } from "../../wire/limits.ts";
import { LIVE_EVENTS } from "../../wire/live.ts";
import { pageCode, pageToken, signedOut } from "../../wire/page.ts";
import { permissionList, permissionPromptDetails } from "../../wire/permissions.ts";
import { screenEvent } from "../../wire/screen.ts";
import { screenRowsEvent } from "../../wire/screen-rows.ts";
import { session, sessionDetails, sessionList } from "../../wire/sessions.ts";
import { usageReport } from "../../wire/usage.ts";
import * as answers from "./answers.ts";

export type Key = "none" | "chat key" | "control key" | "control key or page" | "page" | "metrics key";

export interface Operation {
  readonly key: Key;
  /** One or a few sentences, in Markdown. */
  readonly does: string;
  /** The body of a 200; null when the route answers only with errors. */
  readonly answer: z.ZodType | null;
  /** Its answer is plain text. */
  readonly isText?: boolean;
  /** Each event of an answer as server-sent events, in place of the answer or besides it. */
  readonly event?: z.ZodType;
  /** The errors of this route, besides those that every route can have. */
  readonly errors: readonly ErrorCode[];
  /** The schema of its errors, if they have not the shape of OpenAI's API. */
  readonly errorShape?: "Error" | "MessagesError";
  /** A body to send. */
  readonly example?: object;
}

/** What keeps a message from being answered. */
const MESSAGE_ERRORS: readonly ErrorCode[] = [
  "invalid_json",
  "invalid_request",
  "request_too_large",
  "unsupported_encoding",
  "context_length_exceeded",
  "workspace_not_allowed",
  "model_not_found",
  "turn_interrupted",
  "billing_error",
  "claude_account_blocked",
  "queue_full",
  "usage_limit_reached",
  "rate_limited",
  "overloaded",
  "shutting_down",
  "database_unavailable",
  "node_unavailable",
  "claude_not_found",
  "claude_not_ready",
  "claude_not_logged_in",
  "channel_refused",
  "session_in_use",
  "message_not_received",
  "claude_failed",
  "claude_exited",
  "turn_timeout",
];
const REFUSED_READING = "Is refused (400), because no text is stored. A response of another key, or none, is a 404.";

/** By method and path. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  "POST /v1/chat/completions": {
    key: "chat key",
    does: "Answers a message, as one JSON body or as a stream.",
    answer: answers.chatCompletion,
    event: answers.chatCompletionChunk,
    errors: MESSAGE_ERRORS,
    example: {
      model: "synthesis-claude-bridge",
      user: "me",
      stream: true,
      messages: [{ role: "user", content: "What is in this folder?" }],
    },
  },
  "POST /v1/responses": {
    key: "chat key",
    does: "The same in the form of OpenAI's Responses API: [responses](#responses).",
    answer: answers.response,
    event: answers.responseEvent,
    errors: [...MESSAGE_ERRORS, "previous_response_not_found"],
    example: { model: "synthesis-claude-bridge", conversation: "me", input: "What is in this folder?" },
  },
  "GET /v1/responses/{id}": {
    key: "chat key",
    does: REFUSED_READING,
    answer: null,
    errors: ["invalid_request", "response_not_found"],
  },
  "GET /v1/responses/{id}/input_items": {
    key: "chat key",
    does: REFUSED_READING,
    answer: null,
    errors: ["invalid_request", "response_not_found"],
  },
  "DELETE /v1/responses/{id}": {
    key: "chat key",
    does: "Deletes a response: it can no longer be continued.",
    answer: answers.responseDeletion,
    errors: ["response_not_found", "shutting_down"],
  },
  "POST /v1/responses/{id}/cancel": {
    key: "chat key",
    does: "Ends the turn of a response while it runs, or waits.",
    answer: answers.response,
    errors: ["invalid_request", "response_not_found"],
  },
  "POST /v1/messages": {
    key: "chat key",
    does: "The same in the form of Anthropic's Messages API: [messages](#messages).",
    answer: answers.message,
    event: answers.messageEvent,
    errors: MESSAGE_ERRORS,
    errorShape: "MessagesError",
    example: {
      model: "synthesis-claude-bridge",
      max_tokens: 1024,
      metadata: { user_id: "me" },
      messages: [{ role: "user", content: "What is in this folder?" }],
    },
  },
  "POST /v1/messages/count_tokens": {
    key: "chat key",
    does: "Estimates the tokens of a request, from its characters and its images: Claude's tokenizer is not public.",
    answer: answers.tokenCount,
    errors: ["invalid_json", "invalid_request", "request_too_large", "unsupported_encoding"],
    errorShape: "MessagesError",
    example: { messages: [{ role: "user", content: "What is in this folder?" }] },
  },
  "GET /v1/models": {
    key: "chat key",
    does:
      "Lists the models, Claude Code's own default and its aliases, with the sizes of context and answer. With an " +
      "`anthropic-version` header, in the form of Anthropic's API.",
    answer: answers.modelList,
    errors: [],
  },
  "GET /v1/models/{id}": {
    key: "chat key",
    does: "Shows one model, or says that there is no such model.",
    answer: answers.model,
    errors: ["model_not_found"],
  },
  "GET /health": {
    key: "none",
    does:
      "Shows that the server runs, its version, the number of processes and connected plugins, whether Claude's login " +
      "works (`ok`, `expired`, `unknown`), the usage limits for which messages are refused (`rejections`: `window`, " +
      '`models`, `resets_at` in Unix ms), and the engines: for conversations without an agent (`"agent": null`) and for ' +
      "each configured agent, its `engine` and the `reason` of the choice (`setting`, `environment`, `claude_status`, " +
      "`managed_settings`, `claude_settings`, `api_key`, `channel_refused`, `default`).",
    answer: answers.health,
    errors: [],
  },
  "GET /ready": {
    key: "none",
    does:
      "200 when a message that starts a conversation would be accepted, otherwise 503 with the error code as `reason`. At " +
      "a usage limit it also has its `window`, and `resets_at` in Unix ms.",
    answer: answers.readiness,
    errors: [],
  },
  "GET /openapi.json": {
    key: "none",
    does: "This API as an OpenAPI 3.1 document, made from the schemas that check the requests.",
    answer: answers.openApi,
    errors: [],
  },
  "GET /v1/sessions": {
    key: "control key or page",
    does:
      "Lists all conversations, also the chats without a name that still have a process (`unnamed:…`). In a fleet, " +
      "`missing_nodes` names the nodes that did not answer, so that their conversations are missing.",
    answer: sessionList,
    errors: [],
  },
  "GET /v1/sessions/{key}": {
    key: "control key or page",
    does: "Shows one conversation, its last 20 turns, its token totals and its former Claude sessions.",
    answer: sessionDetails,
    errors: ["session_not_found"],
  },
  "DELETE /v1/sessions/{key}": {
    key: "control key or page",
    does: "Ends and deletes a conversation. `?transcript=1` also deletes Claude Code's own record of it.",
    answer: answers.removal,
    errors: ["role_not_allowed", "session_not_found", "shutting_down"],
  },
  "POST /v1/sessions/{key}/interrupt": {
    key: "control key or page",
    does: "Ends the running turn.",
    answer: session,
    errors: ["role_not_allowed", "session_not_found", "not_running"],
  },
  "POST /v1/sessions/{key}/reset": {
    key: "control key or page",
    does: "Ends the turn and the process. The next message starts a new Claude session. A chat without a name is deleted.",
    answer: session,
    errors: ["role_not_allowed", "session_not_found", "shutting_down"],
  },
  "GET /v1/sessions/{key}/screen": {
    key: "control key or page",
    does: "Streams Claude's terminal as server-sent events.",
    answer: null,
    event: screenEvent,
    errors: ["session_not_found", "not_running"],
  },
  "GET /v1/sessions/{key}/screen/rows": {
    key: "control key or page",
    does: "Streams the rows of Claude's terminal that change, in styled pieces, as server-sent events.",
    answer: null,
    event: screenRowsEvent,
    errors: ["session_not_found", "not_running"],
  },
  "GET /v1/permissions": {
    key: "control key or page",
    does: "Lists the permission prompts that wait, and the latest 50 that were decided. It has `missing_nodes`, too.",
    answer: permissionList,
    errors: [],
  },
  "GET /v1/permissions/{id}": {
    key: "control key or page",
    does: "Shows one permission prompt with everything that Claude would write or run.",
    answer: permissionPromptDetails,
    errors: ["permission_not_found"],
  },
  "POST /v1/permissions/{id}": {
    key: "control key or page",
    does: 'Decides it: `{"behavior": "allow"}` or `{"behavior": "deny"}`.',
    answer: answers.verdict,
    errors: ["role_not_allowed", "invalid_json", "invalid_request", "permission_not_found"],
    example: { behavior: "allow", rule: "Bash(git push *)" },
  },
  "GET /v1/limits": {
    key: "chat key",
    does: "Shows how much of the account's plan is used: [the plan's limits](#the-plans-limits).",
    answer: limitsReport,
    errors: [],
  },
  "GET /v1/usage": {
    key: "control key or page",
    does: "Sums turns, tokens, cost and the time to the first text: [usage](#usage).",
    answer: usageReport,
    errors: ["invalid_request"],
  },
  "GET /metrics": {
    key: "metrics key",
    does: "Gives the metrics to Prometheus, in its text format: [metrics](#metrics). The control key opens it, too.",
    answer: null,
    isText: true,
    errors: [],
  },
  "GET /v1/live": {
    key: "control key or page",
    does: "Streams the state of the server and its changes as server-sent events: [the page](#the-page).",
    answer: null,
    event: z.union(Object.values(LIVE_EVENTS)),
    errors: [],
  },
  "POST /v1/page/codes": {
    key: "control key",
    does: 'Makes a one-time code for a page: `{"role": "look"}` or `{"role": "decide"}`.',
    answer: pageCode,
    errors: ["invalid_json", "invalid_request"],
    example: { role: "decide" },
  },
  "POST /v1/page/tokens": {
    key: "none",
    does: "Exchanges a one-time code for a token of the page.",
    answer: pageToken,
    errors: ["invalid_json", "invalid_request", "request_too_large", "invalid_page_code", "too_many_attempts"],
    example: { code: "the-code-of-the-link" },
  },
  "DELETE /v1/page/tokens/current": {
    key: "page",
    does: "Ends the token: the page signs out.",
    answer: signedOut,
    errors: [],
  },
  "GET /v1/config": {
    key: "control key",
    does: "Lists the settings whose values in `config.json` have changed since the server started.",
    answer: configDifference,
    errors: [],
  },
  "POST /v1/config/roots": {
    key: "control key",
    does: 'Changes the allowed roots until the server stops: `{"add": ["/srv/a"], "remove": []}`.',
    answer: allowedRoots,
    errors: ["invalid_json", "invalid_request"],
    example: { add: ["/srv/a"], remove: [] },
  },
};
