/** Runs every check of `synthesis doctor`, subject by subject. */
import { existsSync } from "node:fs";
import { createEngines } from "../claude/engines.ts";
import { readManagedSettings } from "../claude/managed-settings.ts";
import { ConfigError } from "../config/config-error.ts";
import { loadConfig } from "../config/load.ts";
import { describePathProblem } from "../config/path-problem.ts";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { PLUGIN_NAME } from "../plugin/manifest.ts";
import { type Check, type Subject, subject } from "./check.ts";
import { claudeChecks } from "./claude.ts";
import { blockingSettingsChecks } from "./claude-settings.ts";
import { databaseChecks } from "./database.ts";
import { fleetChecks } from "./fleet.ts";
import { listeningChecks } from "./listening.ts";
import { lostLoginChecks } from "./lost-login.ts";
import { memoryCheck } from "./memory.ts";
import { notificationChecks } from "./notifications.ts";
import { openClawChecks } from "./openclaw.ts";
import { planChecks } from "./plan.ts";
import { portCheck } from "./port.ts";
import { rejectionChecks } from "./rejections.ts";
import { serviceChecks } from "./service.ts";
import { stateFolderChecks } from "./state-folder.ts";
import { workspaceChecks } from "./workspaces.ts";

const configuration = subject("configuration");

/**
 * Checks everything that a turn needs. Changes nothing, and sends Claude no message.
 * @param env the environment in which a server would be started
 * @param flags the settings given on the command line
 */
export async function runChecks(
  paths: Paths,
  env: Record<string, string | undefined>,
  flags: object,
): Promise<Check[]> {
  let config: Config;
  try {
    config = loadConfig(paths, env, flags);
  } catch (error) {
    if (!(error instanceof ConfigError)) return [unexpectedError(configuration, error)];
    return [configuration.failed("invalid", error.message, "Correct it. All other checks need a valid configuration.")];
  }
  const { database } = config;
  const source = existsSync(paths.configFile) ? paths.configFile : "defaults and environment";
  const groups = [
    [configuration.ok(source)],
    await guarded(subject("claude"), () => claudeChecks(config, env, enginesOf(paths, config, env))),
    await guarded(subject("login"), () => lostLoginChecks(paths)),
    await guarded(subject("blocking_settings", "settings of workspaces"), () => blockingSettingsChecks(config, env)),
    await guarded(subject("memory"), () => [memoryCheck(config)]),
    await guarded(subject("workspace"), () => workspaceChecks(config)),
    await guarded(subject("state_folder", "state folder"), () => stateFolderChecks(paths)),
    await guarded(subject("port"), async () => [await portCheck(paths, config)]),
    await guarded(subject("listening", "other machines"), () => listeningChecks(config)),
    await guarded(subject("usage_limit", "usage limit"), () => rejectionChecks(paths)),
    await guarded(subject("plan", "limits of the plan"), () => planChecks(paths, config)),
    database === undefined
      ? await guarded(subject("database"), () => databaseChecks(paths, config))
      : await guarded(subject("fleet"), () => fleetChecks(paths, config, database)),
    notificationChecks(config),
    await guarded(subject("service"), () => serviceChecks(paths, env)),
    await guarded(subject("openclaw", "OpenClaw"), () => openClawChecks(paths, config, env)),
  ];
  return groups.flat();
}

/** The engines that a server would choose. */
const enginesOf = (paths: Paths, config: Config, env: Record<string, string | undefined>) =>
  createEngines({ config, paths, managed: readManagedSettings(PLUGIN_NAME), env });

/** An error in the checks of one subject is reported as its failure, so that the other subjects are still checked. */
async function guarded(about: Subject, checks: () => Check[] | Promise<Check[]>): Promise<Check[]> {
  try {
    return await checks();
  } catch (error) {
    return [unexpectedError(about, error)];
  }
}

function unexpectedError(about: Subject, error: unknown): Check {
  const { what, advice } = describePathProblem(error) ?? {
    what: `this could not be checked: ${error instanceof Error ? error.message : error}`,
    advice: "Report this line as a bug.",
  };
  return about.failed("unexpected_error", what, advice);
}
