/** What the server prints for people when it has started: its address, and whether Claude Code is ready. */
import { getLogger } from "@logtape/logtape";
import { version } from "../../package.json";
import { TESTED_VERSIONS } from "../claude/tested-versions.ts";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { inspectClaude } from "../doctor/claude.ts";
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
  const { program, checks } = await inspectClaude(config, process.env);
  if (program) {
    getLogger(["synthesis", "claude"]).debug("found Claude Code {version}; tested are {oldest} to {newest}", {
      ...program,
      ...TESTED_VERSIONS,
    });
  }
  const which = program ? `${program.path}, ${program.version}, ` : "";
  const problem = [...checks, ...workspaceChecks(config)].find(({ result }) => result === "failed");
  if (!problem) return `Claude Code: ${which}ready to start`;
  const found = problem.found.replace(/\.$/, "");
  return (
    `Claude Code: ${which}NOT READY: ${problem.name}: ${found}. ${problem.advice} ` +
    "`synthesis doctor` checks everything else."
  );
}
