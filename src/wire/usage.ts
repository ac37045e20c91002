/** The body of `/v1/usage`, as the server sends it and the command line reads it. Times are Unix milliseconds. */
import { z } from "zod";
import { planLimits } from "./limits.ts";

export const USAGE_BY = ["day", "hour", "agent", "model", "conversation"] as const;
export type UsageBy = (typeof USAGE_BY)[number];

const figures = z.object({
  /** Turns by how they ended, requests that belong to no conversation among them. */
  turns: z.object({ done: z.number(), failed: z.number(), interrupted: z.number(), lost: z.number() }),
  /** Model calls that were answered, as far as Claude Code reports single calls. */
  model_calls: z.number(),
  /** The kinds of tokens, as Anthropic's API names them. `input_tokens` are those that have nothing to do with the cache. */
  input_tokens: z.number(),
  cache_read_input_tokens: z.number(),
  cache_creation_input_tokens: z.number(),
  output_tokens: z.number(),
  /** In US dollars, as Claude Code calculates it; null when it is known of no turn. */
  cost_usd: z.number().nullable(),
  /** Turns whose tokens are counted and whose cost is not known. */
  turns_without_cost: z.number(),
  /** From the request's dispatch to Claude until the client got text; null when no turn had any. Rounded up. */
  first_text: z.object({ turns: z.number(), median_ms: z.number(), p95_ms: z.number() }).nullable(),
});
export type UsageFiguresBody = z.infer<typeof figures>;

const group = figures.extend({
  /**
   * The session key, agent or model; a day such as `2026-11-27`; an hour such as `2026-11-27 14:00`. Null for turns
   * without an agent or a model.
   */
  name: z.string().nullable(),
  /** When the day or the hour began; null for other groups. */
  starts_at: z.number().nullable(),
  /** How full the context of a conversation is, as last reported; null when that is unknown, and for other groups. */
  context_used_percent: z.number().nullable(),
});
export type UsageGroupBody = z.infer<typeof group>;

export const usageReport = z.object({
  object: z.literal("usage"),
  by: z.enum(USAGE_BY),
  /** The beginning of the first day that counts. */
  since: z.number(),
  /** The server's time zone, to which the days and hours belong. */
  time_zone: z.string(),
  data: z.array(group),
  total: figures,
  /** The time to the first text, by how the requests got their process, of the turns that are still recorded. */
  first_text_by_origin: z.array(
    z.object({ origin: z.string(), turns: z.number(), median_ms: z.number(), p95_ms: z.number() }),
  ),
  /** How much of the account's plan is used now. */
  limits: planLimits,
  /** How that has changed since the server started, oldest first. */
  limits_history: z.array(
    z.object({ name: z.string(), points: z.array(z.object({ at: z.number(), used_percent: z.number() })) }),
  ),
});
export type UsageReport = z.infer<typeof usageReport>;

/** Ten years. */
const MAX_DAYS = 3_650;
const DAYS = `must be a whole number from 1 to ${MAX_DAYS}`;

/** What a query of `/v1/usage` may have. */
export const usageQuery = z
  .strictObject({
    by: z.enum(USAGE_BY).default("day"),
    /** How many days, with today; only without `since`. */
    days: z.coerce.number(DAYS).int(DAYS).min(1, DAYS).max(MAX_DAYS, DAYS).optional(),
    /** The first day. */
    since: z.iso.date("must be a date such as 2026-11-01").optional(),
  })
  .refine(({ days, since }) => days === undefined || since === undefined, {
    error: "must be left out where since is given",
    path: ["days"],
  });
export type UsageQuery = z.input<typeof usageQuery>;
