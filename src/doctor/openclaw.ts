/** Whether OpenClaw, if it is on this machine, knows us as we are now. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { ConfigError } from "../config/config-error.ts";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { readRecord } from "../setup/openclaw.ts";
import {
  baseUrl,
  hasPlugin,
  isReference,
  type OpenClawConfig,
  ourProvider,
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
import { lockHolder } from "../store/lock.ts";
import { type Check, failed, ok, warning } from "./check.ts";

const NAME = "OpenClaw";
const SETUP = "Run `synthesis setup openclaw`.";

/** @param env where its program is looked for, and what it is started with */
export async function openClawChecks(
  paths: Paths,
  config: Config,
  env: Record<string, string | undefined>,
): Promise<Check[]> {
  const openclaw = findOpenClaw(readRecord(paths)?.program ?? undefined, env);
  if (!openclaw) return [ok(NAME, "not on PATH; synthesis does without")];
  try {
    const [version, file, agents] = await Promise.all([
      openClawVersion(openclaw),
      openClawConfigFile(openclaw),
      openClawAgents(openclaw),
    ]);
    const { config: openClawConfig } = readOpenClawConfig(file);
    const found = `${openclaw.path}, ${version ?? "of an unknown version"} (tested with ${TESTED_OPENCLAW})`;
    if (!ourProvider(openClawConfig)) return [warning(NAME, `${found}; it does not know synthesis`, SETUP)];
    return [
      ok(NAME, found),
      providerCheck(openClawConfig, paths, config),
      pluginCheck(openClawConfig, paths),
      rootsCheck(agents, config),
    ];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return [warning(NAME, `${openclaw.path} does not answer`, error.message)];
  }
}

function providerCheck(openClawConfig: OpenClawConfig, { lock, chatKey }: Paths, config: Config): Check {
  const name = "OpenClaw's provider";
  const there = ourProvider(openClawConfig);
  const port = lockHolder(lock)?.port ?? config.bridgePort;
  if (there?.baseUrl !== baseUrl(port)) {
    return failed(name, `goes to ${there?.baseUrl}, and not to ${baseUrl(port)}`, SETUP);
  }
  if (isReference(there.apiKey)) return ok(name, `${there.baseUrl}, with a key of your own arrangement`);
  if (there.apiKey !== (config.apiKey ?? keyIn(chatKey))) {
    return failed(name, `${there.baseUrl}, with another key than ours`, SETUP);
  }
  return ok(name, `${there.baseUrl}, with our key`);
}

function keyIn(file: string): string | null {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    // Not made yet, or not for us to read; the state folder's own check tells.
    return null;
  }
}

function pluginCheck(openClawConfig: OpenClawConfig, { openClawPlugin }: Paths): Check {
  const name = "OpenClaw's plugin";
  const loaded = hasPlugin(openClawConfig, openClawPlugin);
  if (loaded === "absent") {
    return warning(name, "absent: conversations are told apart without it, workspaces may be missed", SETUP);
  }
  if (loaded === "disabled") {
    return warning(name, "switched off", "Run `openclaw plugins enable synthesis`, or leave it so.");
  }
  const version = pluginVersion(openClawPlugin);
  return isPluginWritten(openClawPlugin)
    ? ok(name, `${version}, in ${openClawPlugin}`)
    : warning(name, `${version ?? "gone from"} ${openClawPlugin}, not this program's`, SETUP);
}

function rootsCheck(agents: readonly OpenClawAgent[], { allowedRoots }: Config): Check {
  const name = "OpenClaw's workspaces";
  const outside = agents.map(({ workspace }) => resolve(workspace)).filter((one) => !allowedRoots.includes(one));
  if (outside.length === 0) return ok(name, "allowed");
  const list = outside.join(", ");
  return warning(name, `${list} not among the allowed roots`, `${SETUP} Or add it to SYNTHESIS_ALLOWED_ROOTS.`);
}
