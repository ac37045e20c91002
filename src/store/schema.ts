/** The tables, as drizzle-kit reads them. Times are Unix milliseconds. */

/** What the user's side said and what the assistant answered, as fingerprints. */
export interface Exchange {
  /** Those of the user's messages, in their order. */
  readonly users: readonly string[];
  /** That of the answer, empty for one without text; null when it is not known what the client has of it. */
  readonly answer: string | null;
}

import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { EFFORTS } from "../config/schema.ts";

/** Which conversation is which claude session. It outlives every process. */
export const sessions = sqliteTable(
  "sessions",
  {
    /** The session key. */
    key: text().primaryKey(),
    /** What named it: `session-key`, `chat`, `runtime`, `affinity`, `header`, `agent`, `user` or `default`. */
    source: text().notNull(),
    agent: text(),
    chat: text(),
    /** claude's session id. */
    claudeSession: text("claude_session").notNull().unique(),
    workspace: text().notNull(),
    /** What the last claude was started with; another one means a restart. */
    launchHash: text("launch_hash").notNull(),
    /** What the last request chose; null for claude's own default. */
    model: text(),
    effort: text({ enum: EFFORTS }),
    /** The part of the client's system prompt that stays the same, for requests that bring none. */
    systemPrompt: text("system_prompt"),
    /** OpenClaw's session id, by which alone a request may ask for this conversation, and its generation. */
    affinity: text(),
    generation: integer(),
    createdAt: integer("created_at").notNull(),
    lastActiveAt: integer("last_active_at").notNull(),
    /** Turns that claude has received. */
    turns: integer().notNull().default(0),
    /** The key of the conversation of which this is another model's branch. */
    branchOf: text("branch_of"),
  },
  (table) => [index("sessions_affinity").on(table.affinity), index("sessions_branch_of").on(table.branchOf)],
);

/** claude sessions that a conversation had before it began anew. */
export const pastSessions = sqliteTable("past_sessions", {
  claudeSession: text("claude_session").primaryKey(),
  key: text().notNull(),
  workspace: text().notNull(),
  createdAt: integer("created_at").notNull(),
  endedAt: integer("ended_at").notNull(),
});

/** Every message that was sent to a claude, and what became of it. */
export const turns = sqliteTable(
  "turns",
  {
    /** The `message_id` in the channel's meta, and the answer's `x-request-id`. */
    id: text().primaryKey(),
    session: text()
      .notNull()
      .references(() => sessions.key, { onDelete: "cascade" }),
    /** The one it was told to; empty in rows of the first version, which did not say. */
    claudeSession: text("claude_session").notNull().default(""),
    state: text({ enum: ["sent", "running", "done", "failed", "interrupted", "lost"] }).notNull(),
    /** The client's trace, from `traceparent`. */
    traceId: text("trace_id"),
    /** claude's id of the prompt. */
    promptId: text("prompt_id"),
    /** Fingerprints of what it delivered to Claude: the user's messages, the volatile system prompt. */
    fingerprints: text("prints", { mode: "json" }).$type<readonly string[]>().notNull().default([]),
    /** Only in rows from before `history`: those of the earlier messages that it delivered. */
    pastFingerprints: text("past_prints", { mode: "json" }).$type<readonly string[]>().notNull().default([]),
    volatile: text(),
    /** The client's request had a history. */
    hadHistory: integer("had_history", { mode: "boolean" }),
    /** So many of the exchanges before it stopped counting with it. */
    dropped: integer().notNull().default(0),
    /** Earlier exchanges that it delivered, as fingerprints. */
    history: text({ mode: "json" }).$type<readonly Exchange[]>(),
    /** Its own exchanges as fingerprints, when it has ended. */
    exchanges: text({ mode: "json" }).$type<readonly Exchange[]>(),
    sentAt: integer("sent_at").notNull(),
    receivedAt: integer("received_at"),
    firstTextAt: integer("first_text_at"),
    endedAt: integer("ended_at"),
    errorCode: text("error_code"),
    /** The sum of its model calls, those of subagents included; of `tokens_in`, `tokens_cached` were read from the cache. */
    tokensIn: integer("tokens_in"),
    tokensOut: integer("tokens_out"),
    tokensCached: integer("tokens_cached"),
  },
  (table) => [
    index("turns_session").on(table.session, table.sentAt),
    index("turns_claude_session").on(table.claudeSession, table.sentAt),
  ],
);

/** Every question of claude's whether it may do something, and what became of it. */
export const permissions = sqliteTable(
  "permissions",
  {
    id: text().primaryKey(),
    session: text().notNull(),
    turn: text(),
    tool: text().notNull(),
    /** The beginning of the tool's input, as JSON. */
    input: text().notNull(),
    /** Who sent the message that claude worked on, if that was known. */
    sender: text(),
    askedAt: integer("asked_at").notNull(),
    verdict: text({ enum: ["allow", "deny"] }),
    /** By which way it was decided: `chat`, `control`, `spoke` (they said something else), `timeout`, `nobody` to ask, or claude was `gone`. */
    way: text(),
    /** What else was allowed with it, in claude's rule syntax. */
    rule: text(),
    decidedBy: text("decided_by"),
    decidedAt: integer("decided_at"),
  },
  (table) => [index("permissions_asked").on(table.askedAt)],
);

export type SessionRow = typeof sessions.$inferSelect;
export type PastSessionRow = typeof pastSessions.$inferSelect;
export type TurnRow = typeof turns.$inferSelect;
export type PermissionRow = typeof permissions.$inferSelect;
