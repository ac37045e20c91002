/**
 * `GET /v1/limits`: how much of the account's plan is used. The chat key is enough, because OpenClaw has no other one and
 * shows the figures, and because every client reads of a limit that is reached anyway.
 */
import { Hono } from "hono";
import type { AccountLimits } from "../../limits/account.ts";
import type { LimitsReport, PlanLimits } from "../../wire/limits.ts";
import type { Env } from "../env.ts";

export const limitsRoutes = (limits: Pick<AccountLimits, "windows">): Hono<Env> =>
  new Hono<Env>().get("/", (c) => c.json({ object: "limits", data: limitsBody(limits) } satisfies LimitsReport));

export const limitsBody = (limits: Pick<AccountLimits, "windows">): PlanLimits =>
  limits.windows().map(({ name, usedPercent, resetsAt, seenAt }) => ({
    name,
    used_percent: usedPercent,
    resets_at: resetsAt,
    seen_at: seenAt,
  }));
