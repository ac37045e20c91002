/** Which tools Claude may use without a permission prompt, and which it never gets. Comma-separated, as `claude` takes them. */
import type { Config } from "../config/schema.ts";
import { TOOL_PREFIX } from "../plugin/manifest.ts";

/** The configured tools and the client's own. */
export const allowedTools = ({ allowedTools }: Config): string => [...allowedTools, `${TOOL_PREFIX}*`].join(",");

/** Tools that open a dialog that no one can answer, start turns of their own, or leave the workspace. */
export const DISALLOWED_TOOLS = [
  "AskUserQuestion",
  "EnterPlanMode",
  "ExitPlanMode",
  "ScheduleWakeup",
  "CronCreate",
  "CronDelete",
  "CronList",
  "Workflow",
  "EnterWorktree",
  "ExitWorktree",
  "SendMessage",
  "ListAgents",
  "Monitor",
  "DesignSync",
  "ReportFindings",
].join(",");
