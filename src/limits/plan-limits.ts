/** The plan's windows as the control API, the page and clients see them. */
import type { PlanLimits } from "../wire/limits.ts";
import type { AccountLimits } from "./account.ts";

export const limitsBody = (limits: Pick<AccountLimits, "windows">): PlanLimits =>
  limits.windows().map(({ name, usedPercent, resetsAt, seenAt }) => ({
    name,
    used_percent: usedPercent,
    resets_at: resetsAt,
    seen_at: seenAt,
  }));
