/** Checks whether the server of this state folder refuses messages, because a usage limit of the plan is reached. */
import { z } from "zod";
import type { Paths } from "../config/paths.ts";
import { UsageLimitError } from "../limits/usage-limit-error.ts";
import { lockHolder } from "../store/lock.ts";
import { type Check, subject } from "./check.ts";

const usageLimit = subject("usage_limit", "usage limit");
/** A server that runs answers at once. */
const HEALTH_TIMEOUT_MS = 2_000;

const health = z.looseObject({ rejections: z.array(z.looseObject({ window: z.string(), resets_at: z.number() })) });

/** @returns no check when no server runs, because only a message shows whether a limit is reached */
export async function rejectionChecks({ lock }: Paths): Promise<Check[]> {
  const port = lockHolder(lock)?.port;
  if (!port) return [];
  const response = await fetch(`http://127.0.0.1:${port}/health`, {
    signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS),
    proxy: false,
  });
  const read = health.safeParse(await response.json());
  // A server of an earlier version does not know.
  if (!read.success) return [];
  const { rejections } = read.data;
  if (rejections.length === 0) return [usageLimit.ok("no message is refused")];
  return rejections.map(({ window, resets_at: resetsAt }) =>
    usageLimit.warning(
      "reached",
      new UsageLimitError(window, resetsAt, Date.now()).summary,
      "synthesis refuses messages until then. Give the client another model as a fallback.",
    ),
  );
}
