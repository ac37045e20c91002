/** What can be wrong, each thing as one check: what was seen, and what to do about it. */
import { Database } from "bun:sqlite";
import { accessSync, constants, existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readManagedSettings } from "../claude/managed-settings.ts";
import {
  type AuthStatus,
  claudeAuth,
  claudeVersion,
  EXPECTED_VERSIONS,
  findClaude,
  TESTED_VERSION,
} from "../claude/program.ts";
import { ConfigError, loadConfig } from "../config/load.ts";
import { MEGABYTE, machineMemory } from "../config/machine.ts";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { PLUGIN_NAME } from "../plugin/manifest.ts";
import { conditionOf, setAsideBeside } from "../store/condition.ts";
import { type StoreFault, storeFault } from "../store/faults.ts";
import { isRunning, readHolder } from "../store/lock.ts";
import { type Check, failed, ok, warning } from "./check.ts";
import { openClawChecks } from "./openclaw.ts";

type Env = Record<string, string | undefined>;

/** Looks at everything that a turn needs. Changes nothing, starts no claude that talks to anybody. */
export async function examine(paths: Paths, env: Env, flags: object): Promise<Check[]> {
  let config: Config;
  try {
    config = loadConfig(paths, env, flags);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return [failed("configuration", error.message, "Correct it; nothing else can be checked before.")];
  }
  return [
    ok("configuration", existsSync(paths.configFile) ? paths.configFile : "defaults and environment"),
    ...(await claudeChecks(config, env)),
    memoryCheck(config),
    ...workspaceChecks(config),
    ...stateChecks(paths),
    await portCheck(paths, config),
    ...databaseChecks(paths, config),
    ...(await openClawChecks(paths, config, env)),
  ];
}

async function claudeChecks(config: Config, env: Env): Promise<Check[]> {
  const path = findClaude(config.claudeBin, env);
  if (!path) {
    return [
      failed(
        "claude",
        `no program ${config.claudeBin}`,
        "Install Claude Code (npm install -g @anthropic-ai/claude-code), or set SYNTHESIS_CLAUDE_BIN to where it is.",
      ),
    ];
  }
  const version = await claudeVersion(path, env);
  if (!version) {
    return [failed("claude", `${path} does not tell its version`, "Set SYNTHESIS_CLAUDE_BIN to Claude Code.")];
  }
  const auth = await claudeAuth(path, env);
  return [
    Bun.semver.satisfies(version, EXPECTED_VERSIONS)
      ? ok("claude", `${path}, ${version}`)
      : warning(
          "claude",
          `${path}, ${version}`,
          `synthesis is tested with ${TESTED_VERSION}. If something fails: npm install -g @anthropic-ai/claude-code@${TESTED_VERSION}`,
        ),
    loginCheck(auth),
    channelCheck(auth, env),
    hooksCheck(config),
  ];
}

function loginCheck(auth: AuthStatus | null): Check {
  if (!auth) return warning("login", "claude does not tell", "Run `claude` in a terminal and see whether it answers.");
  if (!auth.loggedIn) return failed("login", "not logged in", "Run `claude` in a terminal and use /login.");
  return ok("login", `by ${auth.authMethod ?? "an unknown way"}`);
}

/** Each of these turns channels off, for claude itself. */
const SWITCHES = [
  "DISABLE_TELEMETRY",
  "DO_NOT_TRACK",
  "DISABLE_GROWTHBOOK",
  "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
];
const PROVIDERS = ["CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY"];

const cachedSwitch = z.looseObject({ cachedGrowthBookFeatures: z.looseObject({ tengu_harbor: z.unknown() }) });

function channelCheck(auth: AuthStatus | null, env: Env): Check {
  const name = "channel";
  const set = [...SWITCHES, ...PROVIDERS].filter((variable) => env[variable]);
  if (set.length > 0) return failed(name, `switched off by ${set.join(", ")}`, "Unset it where you start synthesis.");
  if (auth?.apiProvider && auth.apiProvider !== "firstParty") {
    return failed(
      name,
      `does not work with ${auth.apiProvider}`,
      "Use Claude Code with a Claude login or an Anthropic key.",
    );
  }
  if (auth?.analyticsDisabled) {
    const advice = `Look for ${SWITCHES.join(", ")} in Claude Code's settings (\`env\`), and remove it.`;
    return failed(name, "switched off in Claude Code's settings", advice);
  }
  const managed = readManagedSettings(PLUGIN_NAME);
  if (managed.channelsDisabled) {
    return failed(
      name,
      "managed settings without channelsEnabled",
      "Ask your administrator for `channelsEnabled: true`.",
    );
  }
  const way = managed.channelAllowed ? "allowed by managed settings" : "as a development channel";
  if (!isSwitchOn(auth, env)) {
    return warning(
      name,
      `${way}; Claude Code has not fetched the switch for channels`,
      "Start `claude` once while online. `synthesis doctor --live` tells for certain.",
    );
  }
  return ok(name, way);
}

/** Whether Claude Code remembers that its server lets channels in. */
function isSwitchOn(auth: AuthStatus | null, env: Env): boolean {
  const file = env.CLAUDE_CONFIG_DIR
    ? join(env.CLAUDE_CONFIG_DIR, ".claude.json")
    : join(env.HOME ?? auth?.configDirectory ?? "", ".claude.json");
  if (!existsSync(file)) return false;
  try {
    const { cachedGrowthBookFeatures } = cachedSwitch.parse(JSON.parse(readFileSync(file, "utf8")));
    return cachedGrowthBookFeatures.tengu_harbor === true;
  } catch {
    // Half written, or of another form: it does not say so.
    return false;
  }
}

function hooksCheck(config: Config): Check {
  if (!readManagedSettings(PLUGIN_NAME).hooksForbidden) return ok("hooks", "allowed");
  if (config.reply === "tool") return ok("hooks", "forbidden by managed settings; the reply tool does without");
  return failed("hooks", "forbidden by managed settings (allowManagedHooksOnly)", "Set SYNTHESIS_REPLY=tool.");
}

function memoryCheck({ memoryMb, maxProcesses, spares }: Config): Check {
  const machine = Math.round(machineMemory() / MEGABYTE);
  const found = `${memoryMb} of ${machine} MB for at most ${maxProcesses} claudes, ${spares} of them spare`;
  if (memoryMb > machine) return warning("memory", found, "Lower SYNTHESIS_MEMORY_MB.");
  if (spares >= maxProcesses) {
    return warning(
      "memory",
      found,
      "Spares count among SYNTHESIS_MAX_PROCESSES, and conversations come first: raise it.",
    );
  }
  return ok("memory", `${found}; \`--live\` tells what one takes`);
}

function workspaceChecks(config: Config): Check[] {
  const check = (name: string, path: string): Check => {
    if (!existsSync(path)) {
      return name === "workspace"
        ? ok(name, `${path} (made at the first start)`)
        : warning(name, `${path} is not there`, "Make it, or take it out of SYNTHESIS_ALLOWED_ROOTS.");
    }
    if (!statSync(path).isDirectory()) return failed(name, `${path} is not a folder`, "Name a folder.");
    return canWrite(path) ? ok(name, path) : failed(name, `${path} cannot be written to`, "Change its owner or mode.");
  };
  const roots = config.allowedRoots.filter((root) => root !== config.workspace);
  return [check("workspace", config.workspace), ...roots.map((root) => check("allowed root", root))];
}

function canWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    // The only thing that access can say is no.
    return false;
  }
}

function stateChecks({ home, chatKey, controlKey, database }: Paths): Check[] {
  if (!existsSync(home)) return [ok("state folder", `${home} (made at the first start)`)];
  if (!canWrite(home)) return [failed("state folder", `${home} cannot be written to`, "Change its owner or mode.")];
  const open = [home, chatKey, controlKey, database].filter((path) => existsSync(path) && statSync(path).mode & 0o077);
  if (open.length > 0) {
    return [failed("state folder", `others can read ${open.join(", ")}`, `chmod go= ${open.join(" ")}`)];
  }
  const empty = [chatKey, controlKey].find((key) => existsSync(key) && readFileSync(key, "utf8").trim().length < 16);
  if (empty) return [failed("state folder", `${empty} holds no key`, "Remove it; the next start makes a new one.")];
  return [ok("state folder", home)];
}

async function portCheck({ lock }: Paths, { bridgePort }: Config): Promise<Check> {
  const name = "port";
  const holder = readHolder(lock);
  const running = holder && isRunning(holder.pid) ? holder : null;
  if (running) return ok(name, `synthesis runs (pid ${running.pid}) and listens on ${running.port ?? "a port"}`);
  try {
    await Bun.listen({ hostname: "127.0.0.1", port: bridgePort, socket: { data() {} } }).stop();
    return ok(name, `${bridgePort} is free; no server uses this state folder`);
  } catch {
    // Bun says only that it could not.
    return failed(
      name,
      `${bridgePort} on 127.0.0.1 is taken by another program`,
      "Choose another with SYNTHESIS_BRIDGE_PORT.",
    );
  }
}

function databaseChecks({ home, database }: Paths, config: Config): Check[] {
  const name = "database";
  const aside = (existsSync(home) ? setAsideBeside(database) : []).map((path) =>
    warning(
      name,
      `a damaged one was set aside as ${path}`,
      "Conversations from before begin anew; Claude Code keeps its own record of them. Remove it when you do not want it.",
    ),
  );
  return [databaseCheck(database, config), ...aside];
}

function databaseCheck(database: string, { keepDays }: Config): Check {
  const name = "database";
  const condition = conditionOf(database);
  switch (condition.is) {
    case "absent":
      return ok(name, `${database} (made at the first start)`);
    case "newer":
      return failed(
        name,
        `a newer version of synthesis has changed ${database}`,
        "Start that version, or give this one a folder of its own with --home or SYNTHESIS_HOME.",
      );
    case "damaged":
      return failed(
        name,
        `${database} is damaged: ${condition.why}`,
        "Restart synthesis: it sets the file aside and begins a fresh one. Conversations then begin anew; Claude Code " +
          "keeps its own record of the old ones.",
      );
    case "sound":
      return closeLook(name, database, keepDays);
    default:
      return unusable(name, database, condition);
  }
}

const unusable = (name: string, database: string, { what, advice }: StoreFault): Check =>
  failed(name, `${database}: ${what}`, advice);

/** What takes too long for each start: whether every index fits its table, and every row its conversation. */
function closeLook(name: string, database: string, keepDays: number): Check {
  try {
    using file = new Database(database, { readonly: true });
    const { integrity_check } = file.query("PRAGMA integrity_check(1)").get() as { integrity_check: string };
    if (integrity_check !== "ok") {
      return failed(
        name,
        `${database} is damaged: ${integrity_check}`,
        `Stop synthesis and move ${database} away. Conversations then begin anew; Claude Code keeps its own record of the old ones.`,
      );
    }
    const strays = file.query("PRAGMA foreign_key_check").all().length;
    if (strays === 0) return ok(name, database);
    return warning(
      name,
      `${database}: ${strays} turns belong to no conversation`,
      `Another program has changed it. They do no harm, and go when they are ${keepDays} days old.`,
    );
  } catch (error) {
    const fault = storeFault(error);
    if (!fault) throw error;
    return unusable(name, database, fault);
  }
}
