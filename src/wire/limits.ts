/** How much of the account's plan is used, as the server sends it and the command line reads it. */
import { z } from "zod";

const planWindow = z.object({
  /** `five_hour`, `seven_day`, or another name, as Claude Code says it. */
  name: z.string(),
  /** Null where it is unknown, for example since the window has ended. */
  used_percent: z.number().nullable(),
  resets_at: z.number().nullable(),
  /** When Claude Code reported it. */
  seen_at: z.number(),
});

/** Times are Unix milliseconds. Empty when Claude Code has reported no window, as with an API key. */
export const planLimits = z.array(planWindow);
export type PlanLimits = z.infer<typeof planLimits>;

/** What `GET /v1/limits` answers. */
export const limitsReport = z.object({ object: z.literal("limits"), data: planLimits });
export type LimitsReport = z.infer<typeof limitsReport>;
