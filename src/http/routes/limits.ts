/**
 * `GET /v1/limits`: how much of the account's plan is used. The chat key is enough, because OpenClaw has no other one and
 * shows the figures, and because every client reads of a limit that is reached anyway.
 */
import { Hono } from "hono";
import type { AccountLimits } from "../../limits/account.ts";
import { limitsBody } from "../../limits/plan-limits.ts";
import type { LimitsReport } from "../../wire/limits.ts";
import type { Env } from "../env.ts";

export const limitsRoutes = (limits: Pick<AccountLimits, "windows">): Hono<Env> =>
  new Hono<Env>().get("/", (c) => c.json({ object: "limits", data: limitsBody(limits) } satisfies LimitsReport));
