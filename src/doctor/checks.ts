/** What can be wrong, each thing as one check: what was seen, and what to do about it. */
import { Database } from "bun:sqlite";
import { existsSync, readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import { TYPICAL_BYTES } from "../claude/pool/slots.ts";
import { ConfigError } from "../config/config-error.ts";
import { loadConfig } from "../config/load.ts";
import { checkPath, describePathProblem } from "../config/path-problem.ts";
import type { Paths } from "../config/paths.ts";
import type { Config } from "../config/schema.ts";
import { checkStateFolder } from "../config/state-folder.ts";
import { MEGABYTE, machineMemory } from "../core/machine.ts";
import { checkDatabase, quarantinedDatabases } from "../store/database-check.ts";
import { type StoreFault, storeFault } from "../store/faults.ts";
import { lockHolder } from "../store/lock.ts";
import { type Check, failed, ok, warning } from "./check.ts";
import { blockingSettingChecks, claudeChecks } from "./claude.ts";
import { openClawChecks } from "./openclaw.ts";

/** A server on this machine tells its health at once. */
const HEALTH_MS = 2_000;

type Env = Record<string, string | undefined>;

/** Looks at everything that a turn needs. Changes nothing, starts no claude that talks to anybody. */
export async function runChecks(paths: Paths, env: Env, flags: object): Promise<Check[]> {
  let config: Config;
  try {
    config = loadConfig(paths, env, flags);
  } catch (error) {
    if (!(error instanceof ConfigError)) return [failure("configuration", error)];
    return [failed("configuration", error.message, "Correct it; nothing else can be checked before.")];
  }
  const groups = [
    await look("configuration", () => [
      ok("configuration", existsSync(paths.configFile) ? paths.configFile : "defaults and environment"),
    ]),
    await look("claude", () => claudeChecks(config, env)),
    await look("settings of workspaces", () => blockingSettingChecks(config, env)),
    await look("memory", () => [memoryCheck(config)]),
    await look("workspace", () => workspaceChecks(config)),
    await look("state folder", () => stateChecks(paths)),
    await look("port", async () => [await portCheck(paths, config)]),
    await look("database", () => databaseChecks(paths, config)),
    await look("OpenClaw", () => openClawChecks(paths, config, env)),
  ];
  return groups.flat();
}

/** A look that fails is itself something that is wrong, and hides none of the others. */
async function look(name: string, checks: () => Check[] | Promise<Check[]>): Promise<Check[]> {
  try {
    return await checks();
  } catch (error) {
    return [failure(name, error)];
  }
}

function failure(name: string, error: unknown): Check {
  const { what, advice } = describePathProblem(error) ?? {
    what: `this could not be looked at: ${error instanceof Error ? error.message : error}`,
    advice: "Report it, with this line.",
  };
  return failed(name, what, advice);
}

const TYPICAL_MB = TYPICAL_BYTES / MEGABYTE;

function memoryCheck({ memoryMb, maxProcesses, spares }: Config): Check {
  const machine = Math.round(machineMemory() / MEGABYTE);
  const found = `${memoryMb} of ${machine} MB for at most ${maxProcesses} claudes, ${spares} of them spare`;
  if (memoryMb > machine) return warning("memory", found, "Lower SYNTHESIS_MEMORY_MB.");
  if (memoryMb < TYPICAL_MB) {
    return warning(
      "memory",
      found,
      `Not one claude fits (about ${TYPICAL_MB} MB): only one at a time will run. Raise SYNTHESIS_MEMORY_MB.`,
    );
  }
  if (spares >= maxProcesses) {
    return warning(
      "memory",
      found,
      "Spares count among SYNTHESIS_MAX_PROCESSES, and conversations come first: raise it.",
    );
  }
  return ok("memory", `${found}; \`--live\` tells what one takes`);
}

/** The folders in which conversations may work. Those that a conversation makes itself need not be there. */
export function workspaceChecks(config: Config): Check[] {
  const check = (name: string, path: string, setting: string): Check => {
    const obstacle = checkPath(path, "folder");
    if (obstacle) return failed(name, obstacle.what, `${obstacle.advice} Or name another folder with ${setting}.`);
    if (existsSync(path)) return ok(name, path);
    return name === "allowed root"
      ? warning(name, `${path} is not there`, "Make it, or take it out of SYNTHESIS_ALLOWED_ROOTS.")
      : ok(name, `${path} (made at the first ${name === "workspace" ? "start" : "message"})`);
  };
  const roots = config.allowedRoots.filter((root) => root !== config.workspace);
  return [
    check("workspace", config.workspace, "SYNTHESIS_WORKSPACE"),
    ...roots.map((root) => check("allowed root", root, "SYNTHESIS_ALLOWED_ROOTS")),
    ...Object.entries(config.agents).map(([agent, { workspace }]) =>
      check(`workspace of ${agent}`, resolve(workspace), "SYNTHESIS_AGENTS"),
    ),
  ];
}

function stateChecks(paths: Paths): Check[] {
  const name = "state folder";
  const { home, chatKey, controlKey, database } = paths;
  const obstacles = checkStateFolder(paths);
  if (obstacles.length > 0) return obstacles.map(({ what, advice }) => failed(name, what, advice));
  if (!existsSync(home)) return [ok(name, `${home} (made at the first start)`)];
  const open = [home, chatKey, controlKey, database].filter((path) => existsSync(path) && statSync(path).mode & 0o077);
  if (open.length > 0) {
    const foreign = open.filter((path) => statSync(path).uid !== process.getuid?.());
    return [
      failed(
        name,
        `others can read ${open.join(", ")}`,
        foreign.length > 0
          ? `Another user owns ${foreign.join(", ")}: move it away, or have it given to you (chown).`
          : `chmod go= ${open.join(" ")}`,
      ),
    ];
  }
  const empty = [chatKey, controlKey].find((key) => existsSync(key) && readFileSync(key, "utf8").trim().length < 16);
  if (empty) return [failed(name, `${empty} holds no key`, "Remove it; the next start makes a new one.")];
  return [ok(name, home)];
}

async function portCheck({ lock }: Paths, { bridgePort }: Config): Promise<Check> {
  const name = "port";
  const running = lockHolder(lock);
  if (running) return ok(name, `synthesis runs (pid ${running.pid}) and listens on ${running.port ?? "a port"}`);
  try {
    // As the server opens it.
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: bridgePort,
      reusePort: false,
      fetch: () => new Response(null, { status: 503 }),
    });
    await server.stop(true);
    return ok(name, `${bridgePort} is free; no server uses this state folder`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EACCES") {
      return failed(
        name,
        `${bridgePort} is a port that only root may open`,
        "Choose one above 1023 with SYNTHESIS_BRIDGE_PORT.",
      );
    }
    const other = await isSynthesis(bridgePort);
    return failed(
      name,
      `${bridgePort} on 127.0.0.1 is taken by another ${other ? "synthesis, with a state folder of its own" : "program"}`,
      `${other ? "Stop that one, or choose" : "Choose"} another with SYNTHESIS_BRIDGE_PORT.`,
    );
  }
}

const health = z.object({ ok: z.literal(true), version: z.string(), processes: z.number(), conns: z.number() });

/** Whether what listens there answers as this program does. */
async function isSynthesis(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/health`, {
      signal: AbortSignal.timeout(HEALTH_MS),
      proxy: false,
    });
    return health.loose().safeParse(await response.json()).success;
  } catch {
    // It speaks something else, or does not answer.
    return false;
  }
}

function databaseChecks(paths: Paths, config: Config): Check[] {
  const name = "database";
  const { home, database } = paths;
  // The state folder's own check says what is in the way.
  if (checkPath(home, "folder") ?? checkPath(database, "file")) return [];
  const aside = (existsSync(home) ? quarantinedDatabases(database) : []).map((path) =>
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
  const condition = checkDatabase(database);
  switch (condition.kind) {
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
