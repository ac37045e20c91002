/** Loads the configuration. A later source wins: defaults, `config.json`, environment, command line. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { closest, distance } from "fastest-levenshtein";
import type { z } from "zod";
import { ConfigError } from "./config-error.ts";
import { checkListening } from "./listening.ts";
import { ALLOW_FOREIGN_HOME, checkHomeOwner, checkWriters } from "./ownership.ts";
import { checkPath } from "./path-problem.ts";
import type { Paths } from "./paths.ts";
import { type Config, defaults, type PartialConfig, partialConfig, type Setting } from "./schema.ts";
import { environmentName, flagName, settingNames } from "./setting-names.ts";

/**
 * `SYNTHESIS_*` variables that are not settings. The first two are about the state folder, and the third names the
 * process that started this program. The others are for the plugin in an agent process; they are set when this program
 * is started from the shell of such a process.
 */
const otherVariables = new Set([
  "SYNTHESIS_HOME",
  ALLOW_FOREIGN_HOME,
  "SYNTHESIS_LAUNCHER_PID",
  "SYNTHESIS_PROCESS_MARK",
  "SYNTHESIS_BRIDGE_URL",
  "SYNTHESIS_BRIDGE_TOKEN",
  "SYNTHESIS_HOOK_TOKEN",
  "SYNTHESIS_OPENCLAW_SESSION",
  "SYNTHESIS_CLAUDE_SESSION",
]);

/**
 * @param flags the settings given on the command line, by their names in camel case
 * @throws ConfigError for an unknown setting or an invalid value
 */
export function loadConfig(paths: Paths, env: Record<string, string | undefined>, flags: object): Config {
  // No source contains undefined (see `parseSource`), so every setting has a value.
  const merged = {
    ...defaults(paths),
    ...parseSource(paths.configFile, readConfigFile(paths.configFile), (name) => name),
    ...parseSource("the environment", fromEnvironment(env), environmentName),
    ...parseSource("the command line", flags, flagName),
  } as Config;
  checkListening(merged);
  checkTopic(merged);
  const workspace = resolve(merged.workspace);
  return {
    ...merged,
    workspace,
    allowedRoots: merged.allowedRoots.length === 0 ? [workspace] : merged.allowedRoots.map((root) => resolve(root)),
  };
}

/** An ntfy server accepts a message at the address of a topic only. */
function checkTopic({ notifyUrl, notifyFormat }: Config): void {
  if (!notifyUrl || notifyFormat !== "ntfy" || new URL(notifyUrl).pathname !== "/") return;
  throw new ConfigError(
    "SYNTHESIS_NOTIFY_URL names no topic, which SYNTHESIS_NOTIFY_FORMAT=ntfy needs. Set it to an address such as " +
      "https://ntfy.sh/your-topic.",
  );
}

function readConfigFile(file: string): unknown {
  if (!existsSync(file)) return {};
  const problem = checkHomeOwner(dirname(file)) ?? checkPath(file, "readable") ?? checkWriters(file);
  if (problem) throw new ConfigError(`${problem.what} ${problem.advice}`);
  try {
    return Bun.JSONC.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new ConfigError(`${file} is not valid JSON: ${(error as Error).message}`);
  }
}

function fromEnvironment(env: Record<string, string | undefined>): Record<string, string> {
  const known = new Map<string, Setting>(settingNames.map((name) => [environmentName(name), name]));
  const values: Record<string, string> = {};
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith("SYNTHESIS_") || otherVariables.has(variable) || value === undefined || value === "")
      continue;
    const name = known.get(variable);
    if (!name) throw new ConfigError(unknownSetting("the environment", variable, environmentName));
    values[name] = value;
  }
  return values;
}

/**
 * @param source where the values come from, for error messages
 * @param spell how a setting is written there
 */
function parseSource(source: string, values: unknown, spell: (name: string) => string): PartialConfig {
  const result = partialConfig.safeParse(values);
  if (result.success) {
    // A flag that was not given is undefined, and must not replace the value of an earlier source.
    return Object.fromEntries(Object.entries(result.data).filter(([, value]) => value !== undefined));
  }
  throw new ConfigError(result.error.issues.map((issue) => explain(source, issue, spell)).join("\n"));
}

function explain(source: string, issue: z.core.$ZodIssue, spell: (name: string) => string): string {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => unknownSetting(source, key, spell)).join("\n");
  }
  const [name, ...rest] = issue.path;
  const where =
    name === undefined ? source : `${spell(String(name))}${rest.length ? `[${rest.join(".")}]` : ""} in ${source}`;
  return `${where}: ${issue.message}`;
}

function unknownSetting(source: string, name: string, spell: (name: string) => string): string {
  const meant = settingNames.find((one) => environmentName(one) === name) ?? mostSimilar(name, spell);
  return `${name} in ${source} is not a setting of synthesis.${meant ? ` Did you mean ${spell(meant)}?` : ""}`;
}

/** The setting with a name that differs in at most a third of its letters. The common prefix is not compared. */
function mostSimilar(name: string, spell: (name: string) => string): Setting | undefined {
  const withoutPrefix = (spelling: string) => spelling.replace(/^SYNTHESIS_/, "");
  const nearest = closest(
    withoutPrefix(name),
    settingNames.map((one) => withoutPrefix(spell(one))),
  );
  if (distance(withoutPrefix(name), nearest) > withoutPrefix(name).length / 3) return undefined;
  return settingNames.find((one) => withoutPrefix(spell(one)) === nearest);
}
