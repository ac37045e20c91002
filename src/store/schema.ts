/** The tables of the database. drizzle-kit generates the migrations from this file. Times are Unix milliseconds. */
import { index, integer, primaryKey, real, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { EFFORTS } from "../config/schema.ts";
import type { SessionFigures } from "../core/session-figures.ts";
import type { ClaudeTools } from "../core/tools.ts";
import type { ModelUsage } from "../core/usage.ts";

/** What the client's side sent and what the assistant answered, as fingerprints. */
export interface Exchange {
  /** The user messages, in order. */
  readonly users: readonly string[];
  /** The answer; empty for an answer without text, null if it is unknown what the client received of it. */
  readonly answer: string | null;
}

/** A use of one of Claude's tools in a turn. */
export interface ToolTime {
  readonly name: string;
  readonly startedAt: number;
  /** Null while it runs, and when its end was not reported. */
  readonly endedAt: number | null;
}

/** Each conversation and its Claude session. A conversation outlives its processes. */
export const sessions = sqliteTable(
  "sessions",
  {
    /** The session key. */
    key: text().primaryKey(),
    /** What names the conversation, as in `Identity`. */
    source: text().notNull(),
    agent: text(),
    chat: text(),
    /** The id of the Claude session. */
    claudeSession: text("claude_session").notNull().unique(),
    workspace: text().notNull(),
    /** The hash of the launch options of the last process. Another hash means that the process must be restarted. */
    launchHash: text("launch_hash").notNull(),
    /** The choice of the last request; null for Claude Code's own default. */
    model: text(),
    effort: text({ enum: EFFORTS }),
    /** The stable part of the client's system prompt, used for requests without a system prompt. */
    systemPrompt: text("system_prompt"),
    /** Which of Claude's own tools the last request that had tools of its own left to Claude; null for all. */
    claudeTools: text("claude_tools", { mode: "json" }).$type<ClaudeTools>(),
    /** OpenClaw's session id, with which alone a request can name this conversation, and its generation. */
    affinity: text(),
    generation: integer(),
    createdAt: integer("created_at").notNull(),
    lastActiveAt: integer("last_active_at").notNull(),
    /** The number of turns that Claude has received. */
    turns: integer().notNull().default(0),
    /** The key of the conversation of which this is a branch for another model. */
    branchOf: text("branch_of"),
  },
  (table) => [index("sessions_affinity").on(table.affinity), index("sessions_branch_of").on(table.branchOf)],
);

/** The Claude sessions that a conversation had before it was reset. */
export const pastSessions = sqliteTable("past_sessions", {
  claudeSession: text("claude_session").primaryKey(),
  key: text().notNull(),
  workspace: text().notNull(),
  createdAt: integer("created_at").notNull(),
  endedAt: integer("ended_at").notNull(),
});

/** Each message that was sent to Claude, and how its turn went. */
export const turns = sqliteTable(
  "turns",
  {
    /** The `message_id` in the channel's meta, and the `x-request-id` of the response. */
    id: text().primaryKey(),
    session: text()
      .notNull()
      .references(() => sessions.key, { onDelete: "cascade" }),
    /** The Claude session that the message was sent to; empty in rows of the first version. */
    claudeSession: text("claude_session").notNull().default(""),
    state: text({ enum: ["sent", "running", "done", "failed", "interrupted", "lost"] }).notNull(),
    /** The client's trace id, from `traceparent`. */
    traceId: text("trace_id"),
    /** Claude Code's id of the prompt. */
    promptId: text("prompt_id"),
    /** Fingerprints of what this turn delivered: the user messages, and the volatile part of the system prompt. */
    fingerprints: text("prints", { mode: "json" }).$type<readonly string[]>().notNull().default([]),
    /** The fingerprints of the history that this turn delivered. Only in rows older than the column `history`. */
    pastFingerprints: text("past_prints", { mode: "json" }).$type<readonly string[]>().notNull().default([]),
    volatile: text(),
    /** Whether the client's request had a history. */
    hadHistory: integer("had_history", { mode: "boolean" }),
    /** The number of earlier exchanges that no longer count as delivered since this turn. */
    dropped: integer().notNull().default(0),
    /** The history that this turn delivered, as fingerprints. */
    history: text({ mode: "json" }).$type<readonly Exchange[]>(),
    /** The exchanges of this turn itself, as fingerprints; null until it ends. */
    exchanges: text({ mode: "json" }).$type<readonly Exchange[]>(),
    /** When the request arrived. Null in rows of earlier versions, like the next column. */
    queuedAt: integer("queued_at"),
    /** How the request got its process, as in `ProcessOrigin`. */
    processOrigin: text("process_origin", { enum: ["warm", "cold", "spare", "resumed"] }),
    sentAt: integer("sent_at").notNull(),
    receivedAt: integer("received_at"),
    firstTextAt: integer("first_text_at"),
    endedAt: integer("ended_at"),
    errorCode: text("error_code"),
    /** The tokens of all model calls, including subagents. `tokensCached` is the part of `tokensIn` read from the cache. */
    tokensIn: integer("tokens_in"),
    tokensOut: integer("tokens_out"),
    tokensCached: integer("tokens_cached"),
    /** The same tokens by model and kind, the turn's main model first. Null in rows of earlier versions. */
    modelUsage: text("model_usage", { mode: "json" }).$type<readonly ModelUsage[]>(),
    /** Claude's tools in the order of their use, as far as they are kept. */
    tools: text({ mode: "json" }).$type<readonly ToolTime[]>(),
    /** Not all model calls have been counted yet. A server that was killed reads the rest from the transcript. */
    isUsageOpen: integer("usage_open", { mode: "boolean" }).notNull().default(false),
    /** The client has deleted the responses of this turn, so that no request can continue them. */
    isResponseDeleted: integer("response_deleted", { mode: "boolean" }).notNull().default(false),
  },
  (table) => [
    index("turns_session").on(table.session, table.sentAt),
    index("turns_claude_session").on(table.claudeSession, table.sentAt),
  ],
);

/** Each permission prompt and its verdict. */
export const permissions = sqliteTable(
  "permissions",
  {
    id: text().primaryKey(),
    session: text().notNull(),
    turn: text(),
    tool: text().notNull(),
    /** The beginning of the tool's input, as JSON. */
    input: text().notNull(),
    /** The sender of the message that Claude worked on, if known. */
    sender: text(),
    askedAt: integer("asked_at").notNull(),
    verdict: text({ enum: ["allow", "deny"] }),
    /**
     * How the verdict came about: an answer in the `chat`, the `control` API, another message instead of an answer
     * (`spoke`), a `timeout`, no person to ask (`nobody`), or the end of the process or its request (`gone`).
     */
    way: text(),
    /** A permission rule that was allowed together with the verdict, in Claude Code's syntax. */
    rule: text(),
    decidedBy: text("decided_by"),
    decidedAt: integer("decided_at"),
  },
  (table) => [index("permissions_asked").on(table.askedAt)],
);

/**
 * The sums of turns and tokens. They outlive their turns and conversations. The row of a turn and the sums that it is
 * part of change in one transaction, so that nothing is counted twice.
 */
export const usageSums = sqliteTable(
  "usage_sums",
  {
    /** When the hour or the day begins in the server's time zone. */
    startsAt: integer("starts_at").notNull(),
    /** Hours become days when their turns have expired. */
    span: text({ enum: ["hour", "day"] }).notNull(),
    /** The session key; `unnamed` or `one-shot` for requests that name no conversation. */
    conversation: text().notNull(),
    /** Empty for none. */
    agent: text().notNull(),
    /** The model that used the tokens, and the main model of the turns; empty for turns without an answered call. */
    model: text().notNull(),
    done: integer().notNull(),
    failed: integer().notNull(),
    interrupted: integer().notNull(),
    lost: integer().notNull(),
    /** Answered model calls; Claude Code does not number those that it makes for itself. */
    calls: integer().notNull(),
    /** Input tokens that were neither read from the cache nor written to it. */
    input: integer().notNull(),
    cacheRead: integer("cache_read").notNull(),
    cacheWrite: integer("cache_write").notNull(),
    output: integer().notNull(),
    /** In US dollars, as Claude Code calculates it. */
    cost: real().notNull(),
    /** Turns that used tokens at an unknown cost. */
    unpriced: integer().notNull(),
    /** How many turns had their first text within each time, in ms. See `firstTextBucket`. */
    firstTexts: text("first_texts", { mode: "json" }).$type<Readonly<Record<string, number>>>().notNull(),
  },
  (table) => [primaryKey({ columns: [table.startsAt, table.span, table.conversation, table.agent, table.model] })],
);

/** The windows of the account's plan, as Claude Code last reported them. */
export const planWindows = sqliteTable("plan_windows", {
  name: text().primaryKey(),
  usedPercent: real("used_percent"),
  resetsAt: integer("resets_at"),
  seenAt: integer("seen_at").notNull(),
});

/** What Claude Code last reported about each conversation. */
export const sessionFigures = sqliteTable("session_figures", {
  session: text()
    .primaryKey()
    .references(() => sessions.key, { onDelete: "cascade" }),
  /** The Claude session that the figures are of. */
  claudeSession: text("claude_session").notNull(),
  figures: text({ mode: "json" }).$type<SessionFigures>().notNull(),
});

export type SessionRow = typeof sessions.$inferSelect;
export type PastSessionRow = typeof pastSessions.$inferSelect;
export type TurnRow = typeof turns.$inferSelect;
export type PermissionRow = typeof permissions.$inferSelect;
export type PlanWindowRow = typeof planWindows.$inferSelect;
export type UsageRow = typeof usageSums.$inferSelect;
