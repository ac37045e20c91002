/** Checks whether the server of this state folder refuses messages, because a usage limit of the plan is reached. */
import { z } from "zod";
import type { Paths } from "../config/paths.ts";
import { UsageLimitError } from "../limits/usage-limit-error.ts";
import { askServer } from "./ask-server.ts";
import { type Check, subject } from "./check.ts";

const usageLimit = subject("usage_limit", "usage limit");

const health = z.looseObject({ rejections: z.array(z.looseObject({ window: z.string(), resets_at: z.number() })) });

/** @returns no check when no server runs, because only a message shows whether a limit is reached */
export async function rejectionChecks(paths: Paths): Promise<Check[]> {
  const report = await askServer(paths, "/health", health);
  if (!report) return [];
  if (report.rejections.length === 0) return [usageLimit.ok("no message is refused")];
  return report.rejections.map(({ window, resets_at: resetsAt }) =>
    usageLimit.warning(
      "reached",
      new UsageLimitError(window, resetsAt, Date.now()).summary,
      "synthesis refuses messages until then. Give the client another model as a fallback.",
    ),
  );
}
