/** Shows how much of the account's plan is used, as far as the server of this state folder knows. */
import { existsSync, readFileSync } from "node:fs";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { lockHolder } from "../store/lock.ts";
import { limitsReport } from "../wire/limits.ts";
import { type Check, subject } from "./check.ts";

const plan = subject("plan", "limits of the plan");
/** A server that runs answers at once. */
const TIMEOUT_MS = 2_000;

/** @returns no check when no server runs, because Claude Code reports the figures with its answers */
export async function planChecks({ lock, chatKey }: Paths, { apiKey }: Config): Promise<Check[]> {
  const port = lockHolder(lock)?.port;
  const key = apiKey ?? (existsSync(chatKey) ? readFileSync(chatKey, "utf8").trim() : null);
  if (!port || key === null) return [];
  const response = await fetch(`http://127.0.0.1:${port}/v1/limits`, {
    headers: { authorization: `Bearer ${key}` },
    signal: AbortSignal.timeout(TIMEOUT_MS),
    proxy: false,
  });
  const read = limitsReport.safeParse(await response.json());
  // A server of an earlier version does not know, and one with another key does not say.
  if (!read.success) return [];
  const { data } = read.data;
  if (data.length === 0)
    return [plan.ok("unknown; Claude Code reports them with its answers, but not with an API key")];
  const used = data.map(
    ({ name, used_percent }) => `${name} ${used_percent === null ? "unknown" : `${used_percent} %`}`,
  );
  return [plan.ok(used.join(", "))];
}
