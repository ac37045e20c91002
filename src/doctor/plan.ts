/** Shows how much of the account's plan is used, as far as the server of this state folder knows. */
import { existsSync, readFileSync } from "node:fs";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { limitsReport } from "../wire/limits.ts";
import { askServer } from "./ask-server.ts";
import { type Check, subject } from "./check.ts";

const plan = subject("plan", "limits of the plan");

/** @returns no check when no server runs, because Claude Code reports the figures with its answers */
export async function planChecks(paths: Paths, { apiKey }: Config): Promise<Check[]> {
  const key = apiKey ?? (existsSync(paths.chatKey) ? readFileSync(paths.chatKey, "utf8").trim() : null);
  const report = key === null ? null : await askServer(paths, "/v1/limits", limitsReport, key);
  if (!report) return [];
  if (report.data.length === 0)
    return [plan.ok("unknown; Claude Code reports them with its answers, but not with an API key")];
  const used = report.data.map(
    ({ name, used_percent }) => `${name} ${used_percent === null ? "unknown" : `${used_percent} %`}`,
  );
  return [plan.ok(used.join(", "))];
}
