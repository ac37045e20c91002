/** Puts the configuration together: defaults < `config.json` < environment < command line. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { closest, distance } from "fastest-levenshtein";
import type { z } from "zod";
import { ConfigError } from "./config-error.ts";
import { ALLOW_FOREIGN_HOME, checkHomeOwner, checkWriters } from "./ownership.ts";
import { checkPath } from "./path-problem.ts";
import type { Paths } from "./paths.ts";
import { type Config, defaults, type Layer, layer, type Setting, settings } from "./schema.ts";

/** `idleKillMs` → `SYNTHESIS_IDLE_KILL_MS` */
export const environmentName = (setting: string): string =>
  `SYNTHESIS_${setting.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
/** `idleKillMs` → `--idle-kill-ms` */
export const flagName = (setting: string): string =>
  `--${setting.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

const names = Object.keys(settings) as Setting[];

/**
 * `SYNTHESIS_*` variables that are no settings: the state folder's place and owner, and what this program tells
 * the plugin inside a claude (there when it is started again from such a claude's shell).
 */
const otherVariables = new Set([
  "SYNTHESIS_HOME",
  ALLOW_FOREIGN_HOME,
  "SYNTHESIS_PROCESS_MARK",
  "SYNTHESIS_BRIDGE_URL",
  "SYNTHESIS_BRIDGE_TOKEN",
  "SYNTHESIS_HOOK_TOKEN",
  "SYNTHESIS_OPENCLAW_SESSION",
  "SYNTHESIS_CLAUDE_SESSION",
]);

/**
 * Loads the configuration.
 * @param flags the command line's settings, by their camel-case names
 * @throws ConfigError for an unknown setting or a value that does not fit
 */
export function loadConfig(paths: Paths, env: Record<string, string | undefined>, flags: object): Config {
  // No layer holds an undefined value (see readLayer), so every setting has one.
  const merged = {
    ...defaults(paths),
    ...readLayer(paths.configFile, readConfigFile(paths.configFile), (name) => name),
    ...readLayer("the environment", fromEnvironment(env), environmentName),
    ...readLayer("the command line", flags, flagName),
  } as Config;
  const workspace = resolve(merged.workspace);
  return {
    ...merged,
    workspace,
    allowedRoots: merged.allowedRoots.length === 0 ? [workspace] : merged.allowedRoots.map((root) => resolve(root)),
  };
}

function readConfigFile(file: string): unknown {
  if (!existsSync(file)) return {};
  const obstacle = checkHomeOwner(dirname(file)) ?? checkPath(file, "readable") ?? checkWriters(file);
  if (obstacle) throw new ConfigError(`${obstacle.what} ${obstacle.advice}`);
  try {
    return Bun.JSONC.parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new ConfigError(`${file} is not valid JSON: ${(error as Error).message}`);
  }
}

function fromEnvironment(env: Record<string, string | undefined>): Record<string, string> {
  const known = new Map<string, Setting>(names.map((name) => [environmentName(name), name]));
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

function readLayer(place: string, values: unknown, spelled: (name: string) => string): Layer {
  const result = layer.safeParse(values);
  if (result.success) {
    // A setting that is there but undefined must not hide a lower layer's.
    return Object.fromEntries(Object.entries(result.data).filter(([, value]) => value !== undefined));
  }
  throw new ConfigError(result.error.issues.map((issue) => explain(place, issue, spelled)).join("\n"));
}

function explain(place: string, issue: z.core.$ZodIssue, spelled: (name: string) => string): string {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => unknownSetting(place, key, spelled)).join("\n");
  }
  const [name, ...rest] = issue.path;
  const where =
    name === undefined ? place : `${spelled(String(name))}${rest.length ? `[${rest.join(".")}]` : ""} in ${place}`;
  return `${where}: ${issue.message}`;
}

function unknownSetting(place: string, name: string, spelled: (name: string) => string): string {
  const meant = names.find((one) => environmentName(one) === name) ?? likeliest(name, spelled);
  return `${name} in ${place} is not a setting of synthesis.${meant ? ` Did you mean ${spelled(meant)}?` : ""}`;
}

/** The one that differs in a third of its letters at most. What all variables begin with tells nothing. */
function likeliest(name: string, spelled: (name: string) => string): Setting | undefined {
  const own = (spelling: string) => spelling.replace(/^SYNTHESIS_/, "");
  const nearest = closest(
    own(name),
    names.map((one) => own(spelled(one))),
  );
  if (distance(own(name), nearest) > own(name).length / 3) return undefined;
  return names.find((one) => own(spelled(one)) === nearest);
}
