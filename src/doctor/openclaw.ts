/** Checks that OpenClaw, if it is installed, is set up for this synthesis as it is configured now. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { ConfigError } from "../config/config-error.ts";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import {
  isReference,
  localBaseUrl,
  type OpenClawConfig,
  ourProvider,
  pluginState,
  readOpenClawConfig,
} from "../setup/openclaw-config.ts";
import { isPluginWritten, pluginVersion } from "../setup/openclaw-plugin.ts";
import {
  findOpenClaw,
  type OpenClawAgent,
  openClawAgents,
  openClawConfigFile,
  openClawVersion,
  TESTED_OPENCLAW,
} from "../setup/openclaw-program.ts";
import { readRecord } from "../setup/openclaw-record.ts";
import { lockHolder } from "../store/lock.ts";
import { type Check, subject } from "./check.ts";

const program = subject("openclaw", "OpenClaw");
const provider = subject("openclaw_provider", "OpenClaw's provider");
const plugin = subject("openclaw_plugin", "OpenClaw's plugin");
const workspaces = subject("openclaw_workspaces", "OpenClaw's workspaces");

const RUN_SETUP = "Run `synthesis setup openclaw`.";

/** @param env the environment in which OpenClaw is looked up and started */
export async function openClawChecks(
  paths: Paths,
  config: Config,
  env: Record<string, string | undefined>,
): Promise<Check[]> {
  const openclaw = findOpenClaw(readRecord(paths)?.program ?? undefined, env);
  if (!openclaw) return [program.ok("not on PATH; synthesis works without it")];
  try {
    const [version, file, agents] = await Promise.all([
      openClawVersion(openclaw),
      openClawConfigFile(openclaw),
      openClawAgents(openclaw),
    ]);
    const { config: openClawConfig } = readOpenClawConfig(file);
    const found = `${openclaw.path}, ${version ?? "unknown version"} (tested with ${TESTED_OPENCLAW})`;
    if (!ourProvider(openClawConfig)) {
      return [program.warning("not_set_up", `${found}; synthesis is not one of its providers`, RUN_SETUP)];
    }
    return [
      program.ok(found),
      providerCheck(openClawConfig, paths, config),
      pluginCheck(openClawConfig, paths),
      workspacesCheck(agents, config),
    ];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return [program.warning("no_answer", `${openclaw.path} does not answer`, error.message)];
  }
}

function providerCheck(openClawConfig: OpenClawConfig, paths: Paths, config: Config): Check {
  const { lock, chatKey } = paths;
  const found = ourProvider(openClawConfig);
  const wanted = readRecord(paths)?.baseUrl ?? localBaseUrl(lockHolder(lock)?.port ?? config.bridgePort);
  if (found?.baseUrl !== wanted) {
    return provider.failed("wrong_address", `uses ${found?.baseUrl} instead of ${wanted}`, RUN_SETUP);
  }
  if (isReference(found.apiKey)) return provider.ok(`${found.baseUrl}, with a key from a secret or a variable`);
  if (found.apiKey !== (config.apiKey ?? readKey(chatKey))) {
    return provider.failed("wrong_key", `${found.baseUrl}, with a key that is not the server's`, RUN_SETUP);
  }
  return provider.ok(`${found.baseUrl}, with the server's key`);
}

function readKey(file: string): string | null {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    // The key has not been created, or may not be read. The check of the state folder reports the latter.
    return null;
  }
}

function pluginCheck(openClawConfig: OpenClawConfig, { openClawPlugin }: Paths): Check {
  const loaded = pluginState(openClawConfig, openClawPlugin);
  if (loaded === "absent") {
    return plugin.warning(
      "absent",
      "absent: synthesis guesses the conversation and the workspace of a request",
      RUN_SETUP,
    );
  }
  if (loaded === "disabled") {
    return plugin.warning("disabled", "disabled", "Run `openclaw plugins enable synthesis` if that is not intended.");
  }
  const version = pluginVersion(openClawPlugin);
  if (isPluginWritten(openClawPlugin)) return plugin.ok(`${version}, in ${openClawPlugin}`);
  return plugin.warning(
    "wrong_version",
    `${version ?? "missing"} in ${openClawPlugin}, which does not belong to this version of synthesis`,
    RUN_SETUP,
  );
}

function workspacesCheck(agents: readonly OpenClawAgent[], { allowedRoots }: Config): Check {
  const outside = agents.map(({ workspace }) => resolve(workspace)).filter((one) => !allowedRoots.includes(one));
  if (outside.length === 0) return workspaces.ok("allowed");
  return workspaces.warning(
    "not_allowed",
    `not among the allowed roots: ${outside.join(", ")}`,
    `${RUN_SETUP} Or add them to SYNTHESIS_ALLOWED_ROOTS.`,
  );
}
