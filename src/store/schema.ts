/** The tables, as drizzle-kit reads them. Times are Unix milliseconds. */
import { index, integer, sqliteTable, text } from "drizzle-orm/sqlite-core";

/** Which conversation is which claude session. It outlives every process. */
export const sessions = sqliteTable("sessions", {
  /** The session key. */
  key: text().primaryKey(),
  /** What named it: `session-key`, `chat`, `agent`, `user` or `default`. */
  source: text().notNull(),
  agent: text(),
  chat: text(),
  /** claude's session id. */
  claudeSession: text("claude_session").notNull().unique(),
  workspace: text().notNull(),
  /** What the last claude was started with; another one means a restart. */
  launchHash: text("launch_hash").notNull(),
  model: text(),
  createdAt: integer("created_at").notNull(),
  lastActiveAt: integer("last_active_at").notNull(),
  /** Turns that claude has received. */
  turns: integer().notNull().default(0),
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
    state: text({ enum: ["sent", "running", "done", "failed", "interrupted", "lost"] }).notNull(),
    /** The client's trace, from `traceparent`. */
    traceId: text("trace_id"),
    /** claude's id of the prompt. */
    promptId: text("prompt_id"),
    sentAt: integer("sent_at").notNull(),
    receivedAt: integer("received_at"),
    firstTextAt: integer("first_text_at"),
    endedAt: integer("ended_at"),
    errorCode: text("error_code"),
    tokensIn: integer("tokens_in"),
    tokensOut: integer("tokens_out"),
    tokensCached: integer("tokens_cached"),
  },
  (table) => [index("turns_session").on(table.session, table.sentAt)],
);

export type SessionRow = typeof sessions.$inferSelect;
export type TurnRow = typeof turns.$inferSelect;
