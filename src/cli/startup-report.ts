/** What the server prints for people when it has started: its address, and whether Claude Code is ready. */
import { version } from "../../package.json";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { claudeChecks } from "../doctor/claude.ts";
import { workspaceChecks } from "../doctor/workspaces.ts";
import { print } from "./print.ts";

interface Startup {
  readonly config: Config;
  readonly paths: Paths;
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
  /** Where the damaged database was moved, if it was damaged. */
  readonly quarantined: string | null;
}

export async function printStartupReport({ config, paths, origin, quarantined }: Startup): Promise<void> {
  print(`synthesis ${version} listens on ${origin}/v1`);
  print(`API key: ${config.apiKey ? "as configured" : paths.chatKey}`);
  print(`Workspace: ${config.workspace}`);
  if (quarantined) {
    print(
      `Database: damaged, and moved to ${quarantined}. Every conversation starts anew; Claude Code keeps its own record ` +
        "of the old ones.",
    );
  }
  print(await claudeReport(config));
}

/** Which Claude Code the server uses, or the first problem that keeps it from being used. */
async function claudeReport(config: Config): Promise<string> {
  const [program, ...others] = await claudeChecks(config, process.env);
  const problem = [program, ...others, ...workspaceChecks(config)].find((check) => check?.result === "failed");
  if (!problem) return `Claude Code: ${program?.found}, ready to start`;
  const which = problem === program ? "" : `${program?.found}, `;
  const found = problem.found.replace(/\.$/, "");
  return (
    `Claude Code: ${which}NOT READY: ${problem.name}: ${found}. ${problem.advice} ` +
    "`synthesis doctor` checks everything else."
  );
}
