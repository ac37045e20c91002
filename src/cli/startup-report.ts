/** What the server prints for people when it has started: its address, and whether Claude Code is ready. */
import { getLogger } from "@logtape/logtape";
import { version } from "../../package.json";
import type { Engines } from "../claude/engines.ts";
import type { Login } from "../claude/login.ts";
import { TESTED_VERSIONS } from "../claude/tested-versions.ts";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { systemClock } from "../core/clock.ts";
import type { Check } from "../doctor/check.ts";
import { type ClaudeInspection, inspectClaude } from "../doctor/claude.ts";
import { listeningChecks } from "../doctor/listening.ts";
import { workspaceChecks } from "../doctor/workspaces.ts";
import type { Listener } from "../http/listen.ts";
import { print } from "./print.ts";

interface Startup {
  readonly config: Config;
  readonly paths: Paths;
  readonly engines: Engines;
  /** Notes what Claude Code reports of its login. */
  readonly login: Login;
  readonly server: Pick<Listener, "origin" | "addresses">;
  /** Where the damaged database was moved, if it was damaged. */
  readonly quarantined: string | null;
}

interface StartupResult {
  /** Whether Claude Code can be started, as far as that can be seen. */
  readonly isReady: boolean;
  /** The version of Claude Code; null when there is none. */
  readonly version: string | null;
}

export async function printStartupReport(startup: Startup): Promise<StartupResult> {
  const { config, paths, engines, login, server, quarantined } = startup;
  print(`synthesis ${version} listens on ${server.origin}/v1`);
  for (const address of server.addresses) print(`It also listens on ${address}`);
  for (const { name, found, advice, result } of listeningChecks(config)) {
    if (result !== "ok") print(`${capitalized(name)}: ${found}. ${advice}`);
  }
  print(`API key: ${config.apiKey ? "as configured" : paths.chatKey}`);
  print(`Workspace: ${config.workspace}`);
  if (quarantined) {
    print(
      `Database: damaged, and moved to ${quarantined}. Every conversation starts anew; Claude Code keeps its own record ` +
        "of the old ones.",
    );
  }
  const askedAt = systemClock.now();
  const { program, auth, checks } = await inspectClaude(config, process.env, engines);
  if (auth) login.noteReport(auth, askedAt);
  if (program) {
    getLogger(["synthesis", "claude"]).debug("found Claude Code {version}; tested are {oldest} to {newest}", {
      ...program,
      ...TESTED_VERSIONS,
    });
  }
  const problem = [...checks, ...workspaceChecks(config)].find(({ result }) => result === "failed");
  print(claudeReport(program, problem));
  for (const { name, found } of checks.filter(({ id }) => id === "engine.ok")) print(`${capitalized(name)}: ${found}`);
  return { isReady: problem === undefined, version: program?.version ?? null };
}

/** Which Claude Code the server uses, or the first problem that keeps it from being used. */
function claudeReport(program: ClaudeInspection["program"], problem: Check | undefined): string {
  const which = program ? `${program.path}, ${program.version}, ` : "";
  if (!problem) return `Claude Code: ${which}ready to start`;
  const found = problem.found.replace(/\.$/, "");
  return (
    `Claude Code: ${which}NOT READY: ${problem.name}: ${found}. ${problem.advice} ` +
    "`synthesis doctor` checks everything else."
  );
}

const capitalized = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);
