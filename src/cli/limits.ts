/** Shows for people how much of a limit is used. */
import type { PlanLimits } from "../wire/limits.ts";
import { table, time } from "./format.ts";

const BAR_WIDTH = 20;

/** A bar, and the figure: `████░░░░░░░░░░░░░░░░ 20 %`. `unknown` for null. */
export function bar(percent: number | null): string {
  if (percent === null) return "unknown";
  const full = Math.min(BAR_WIDTH, Math.max(0, Math.round((percent / 100) * BAR_WIDTH)));
  return `${"█".repeat(full)}${"░".repeat(BAR_WIDTH - full)} ${percent} %`;
}

/** `five_hour` is the name that Claude Code uses. */
const windowName = (name: string): string =>
  ({ five_hour: "5 hours", seven_day: "7 days" })[name] ?? name.replaceAll("_", " ").replace("seven day", "7 days,");

/** A table of the plan's windows. */
export function limitsTable(limits: PlanLimits): string {
  if (limits.length === 0) {
    return "The plan's limits are unknown. Claude Code reports them with its answers, but not with an API key.";
  }
  return table(
    ["PLAN", "USED", "RESETS", "SEEN"],
    limits.map(({ name, used_percent, resets_at, seen_at }) => [
      windowName(name),
      bar(used_percent),
      resets_at === null ? "unknown" : time(resets_at),
      time(seen_at),
    ]),
  );
}
