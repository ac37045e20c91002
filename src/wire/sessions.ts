/** The bodies of `/v1/sessions`, as the server sends them and the command line reads them. Times are Unix milliseconds. */
import { z } from "zod";
import { missingNodes } from "./missing-nodes.ts";

/** One conversation. */
export const session = z.object({
  /** The session key. */
  key: z.string(),
  /** Which part of a request named the conversation, such as `session-key`, `header` or `user`. */
  source: z.string(),
  agent: z.string().nullable(),
  chat: z.string().nullable(),
  workspace: z.string(),
  model: z.string().nullable(),
  effort: z.string().nullable(),
  /** The id of the Claude session. */
  claude_session: z.string(),
  created_at: z.number(),
  last_active_at: z.number(),
  /** Turns that Claude has received. */
  turns: z.number(),
  /** `cold` when no process runs. */
  state: z.enum(["idle", "busy", "starting", "cold"]),
  pid: z.number().nullable(),
  /** Requests in the conversation's queue. */
  waiting: z.number(),
});
export type Session = z.infer<typeof session>;

const turn = z.object({
  id: z.string(),
  claude_session: z.string(),
  state: z.enum(["sent", "running", "done", "failed", "interrupted", "lost"]),
  /** When the request arrived; null for turns that an earlier version recorded. */
  queued_at: z.number().nullable(),
  sent_at: z.number(),
  received_at: z.number().nullable(),
  first_text_at: z.number().nullable(),
  ended_at: z.number().nullable(),
  error_code: z.string().nullable(),
  tokens_in: z.number().nullable(),
  tokens_out: z.number().nullable(),
  tokens_cached: z.number().nullable(),
  /** The turn's main model; null while no model call is counted. */
  model: z.string().nullable(),
  /** In US dollars, as Claude Code calculates it; null when it is not known. */
  cost_usd: z.number().nullable(),
  /** How the request got its process; null for turns that an earlier version recorded. */
  process_origin: z.enum(["warm", "cold", "spare", "resumed"]).nullable(),
  /** Claude's tools in the order of their use. The end is null while a tool runs, and when it was not reported. */
  tools: z.array(z.object({ name: z.string(), started_at: z.number(), ended_at: z.number().nullable() })),
});
export type SessionTurn = z.infer<typeof turn>;

/** A Claude session that the conversation had before a reset. */
const pastSession = z.object({
  claude_session: z.string(),
  workspace: z.string(),
  created_at: z.number(),
  ended_at: z.number(),
});
export type PastSession = z.infer<typeof pastSession>;

/** One conversation with its history. The token counts are those of all its turns. */
export const sessionDetails = session.extend({
  tokens_in: z.number().nullable(),
  tokens_out: z.number().nullable(),
  tokens_cached: z.number().nullable(),
  /** What Claude Code last reported about the Claude session. What it has not said is null. */
  figures: z.object({
    /** How much of the model's context window the conversation fills. */
    context_used_percent: z.number().nullable(),
    /** What the Claude session has cost, in US dollars, as Claude Code calculates it. */
    cost_usd: z.number().nullable(),
    /** The part of the input that came from the prompt cache, from 0 to 1. */
    cache_hit_ratio: z.number().nullable(),
    cache_misses: z.number().nullable(),
    last_cache_miss_cause: z.string().nullable(),
  }),
  /** The latest turns, oldest first. */
  last_turns: z.array(turn),
  past_sessions: z.array(pastSession),
});
export type SessionDetails = z.infer<typeof sessionDetails>;

export const sessionList = z.object({
  object: z.literal("list"),
  data: z.array(session),
  missing_nodes: missingNodes,
});
export type SessionList = z.infer<typeof sessionList>;
