/** `/v1/usage`: the sums of turns, tokens, cost and times, by time, conversation, agent or model. */
import { Hono } from "hono";
import type { SessionFigures } from "../../core/session-figures.ts";
import type { AccountLimits } from "../../limits/account.ts";
import { limitsBody } from "../../limits/plan-limits.ts";
import type { LimitsHistory } from "../../live/limits-history.ts";
import type { FiguresStore } from "../../store/figures.ts";
import type { TurnStore } from "../../store/turns.ts";
import {
  added,
  firstTextWithin,
  NO_FIGURES,
  type SummedFigures,
  startOfDay,
  type UsageFigures,
  type UsageGroup,
  type UsageSums,
} from "../../store/usage.ts";
import {
  type UsageBy,
  type UsageFiguresBody,
  type UsageGroupBody,
  type UsageReport,
  usageQuery,
} from "../../wire/usage.ts";
import type { Env } from "../env.ts";
import { valid } from "../validation.ts";

const DEFAULT_DAYS = 30;

interface UsageDeps {
  readonly turns: Pick<TurnStore, "flush">;
  readonly usage: Pick<UsageSums, "query" | "firstTextByOrigin">;
  readonly figures: Pick<FiguresStore, "ofSessions">;
  readonly limits: Pick<AccountLimits, "windows">;
  readonly limitsHistory: Pick<LimitsHistory, "all">;
  /** What the other servers of a fleet have counted. Absent for a server that is no node of a fleet. */
  readonly usageOfOthers?: ((by: UsageBy, since: number) => Promise<readonly SummedFigures[]>) | undefined;
}

export const usageRoutes = ({ turns, usage, figures, limits, limitsHistory, usageOfOthers }: UsageDeps): Hono<Env> =>
  new Hono<Env>().get("/", valid("query", usageQuery), async (c) => {
    const { by, days = DEFAULT_DAYS, since: day } = c.req.valid("query");
    const since = day === undefined ? daysAgo(days - 1) : new Date(`${day}T00:00`).getTime();
    const others = await usageOfOthers?.(by, since);
    turns.flush();
    const groups = usage.query(by, since, others);
    const sessions = by === "conversation" ? figures.ofSessions() : new Map<string, SessionFigures>();
    const contextOf = ({ key }: UsageGroup) => sessions.get(`${key}`)?.contextUsedPercent ?? null;
    return c.json({
      object: "usage",
      by,
      since,
      time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      data: groups.map((group) => ({ ...groupBody(by, group), context_used_percent: contextOf(group) })),
      limits: limitsBody(limits),
      limits_history: limitsHistory.all,
      first_text_by_origin: usage.firstTextByOrigin(since).map(({ origin, count, medianMs, p95Ms }) => ({
        origin,
        turns: count,
        median_ms: medianMs,
        p95_ms: p95Ms,
      })),
      total: figuresBody(groups.reduce<UsageFigures>((sum, group) => added(sum, group), NO_FIGURES)),
    } satisfies UsageReport);
  });

/** The beginning of the day that many days ago, in the server's time zone. */
function daysAgo(days: number): number {
  const day = new Date(startOfDay(Date.now()));
  return day.setDate(day.getDate() - days);
}

const groupBody = (by: UsageBy, { key, ...figures }: UsageGroup): Omit<UsageGroupBody, "context_used_percent"> => ({
  name: typeof key === "number" ? timeName(by, key) : key === "" ? null : key,
  starts_at: typeof key === "number" ? key : null,
  ...figuresBody(figures),
});

/** `2026-11-27 14:00` or, of a day, `2026-11-27`, in the server's time zone. */
function timeName(by: UsageBy, ms: number): string {
  const at = new Date(ms);
  const two = (value: number) => `${value}`.padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return by === "day" ? day : `${day} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

function figuresBody(figures: UsageFigures): UsageFiguresBody {
  const { done, failed, interrupted, lost, calls, input, cacheRead, cacheWrite, output } = figures;
  const { cost, unpriced, firstTexts } = figures;
  const median = firstTextWithin(firstTexts, 0.5);
  const p95 = firstTextWithin(firstTexts, 0.95);
  return {
    turns: { done, failed, interrupted, lost },
    model_calls: calls,
    input_tokens: input,
    cache_read_input_tokens: cacheRead,
    cache_creation_input_tokens: cacheWrite,
    output_tokens: output,
    // Sums of fractions have digits beyond any meaning. Tokens without any cost are those of turns or models whose cost is
    // unknown.
    cost_usd: cost === 0 && (unpriced > 0 || output > 0) ? null : Math.round(cost * 1e6) / 1e6,
    turns_without_cost: unpriced,
    first_text:
      median === null || p95 === null
        ? null
        : { turns: Object.values(firstTexts).reduce((sum, count) => sum + count, 0), median_ms: median, p95_ms: p95 },
  };
}
