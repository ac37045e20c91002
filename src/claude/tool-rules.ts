/** Which tools Claude may use without a permission prompt, and which it never gets. */
import type { Config } from "../config/schema.ts";
import { TOOL_PREFIX } from "../plugin/manifest.ts";

/** The configured tools and the client's own, comma-separated as `claude` takes them. */
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
];

/** Claude Code's tools for files and shells, those of older versions and of other systems included. */
export const FILE_AND_SHELL_TOOLS = [
  "Bash",
  "BashOutput",
  "Edit",
  "Glob",
  "Grep",
  "KillShell",
  "LS",
  "LSP",
  "MultiEdit",
  "NotebookEdit",
  "NotebookRead",
  "PowerShell",
  "Read",
  "Write",
];
