/** `synthesis serve`: puts the server together, runs it, and ends everything it started. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { configure, getConsoleSink, getJsonLinesFormatter, getLogger } from "@logtape/logtape";
import { Command, Option } from "commander";
import { version } from "../../package.json";
import { startGuard } from "../claude/guard.ts";
import { clearRemains } from "../claude/leftovers.ts";
import { readManagedSettings } from "../claude/managed-settings.ts";
import { createPool } from "../claude/pool.ts";
import { chatKey } from "../config/chat-key.ts";
import { ConfigError, flagName, loadConfig } from "../config/load.ts";
import { type Paths, pathsFor } from "../config/paths.ts";
import { type Config, settings } from "../config/schema.ts";
import { createConversations } from "../conversation/conversations.ts";
import { listen } from "../http/listen.ts";
import { PLUGIN_NAME, writePlugin } from "../plugin/manifest.ts";
import { openStore } from "../store/database.ts";
import { type Lock, takeLock } from "../store/lock.ts";
import { sessionsIn } from "../store/sessions.ts";
import { turnsIn } from "../store/turns.ts";

export function serveCommand(): Command {
  const command = new Command("serve").description("run the server (the default)");
  command.addOption(new Option("--home <folder>", "state folder (SYNTHESIS_HOME, default ~/.synthesis)"));
  for (const [name, schema] of Object.entries(settings)) {
    command.addOption(new Option(`${flagName(name)} <value>`, schema.description));
  }
  return command.action(async ({ home, ...flags }: { home?: string }) => {
    const paths = pathsFor(home ?? process.env.SYNTHESIS_HOME);
    mkdirSync(paths.home, { recursive: true, mode: 0o700 });
    const config = loadConfig(paths, process.env, flags);
    const key = config.apiKey ?? chatKey(paths.chatKey);
    mkdirSync(config.workspace, { recursive: true, mode: 0o700 });
    await configureLog(config);

    const lock = await takeFolder(paths);
    clearRemains(paths.run);
    const store = openStore(paths.database);
    const turns = turnsIn(store);
    turns.markLost(Date.now());

    const pool = createPool({
      config,
      paths,
      port: () => server.port ?? config.bridgePort,
      managed: readManagedSettings(PLUGIN_NAME),
      env: process.env,
    });
    const conversations = createConversations({ config, pool, sessions: sessionsIn(store), turns, env: process.env });
    const server = openPort(config, () => listen({ config, key, pool, conversations }));
    lock.announce(server.port ?? config.bridgePort);
    writePlugin(paths.plugin, server.port ?? config.bridgePort, thisProgram());

    const guard = startGuard([...thisProgram(), "sweep", "--home", paths.home]);

    let ending = false;
    const end = async () => {
      if (ending) {
        pool.killAll();
        process.exit(1);
      }
      ending = true;
      getLogger(["synthesis"]).info("shutting down");
      await conversations.drain(config.drainMs);
      await pool.stopAll();
      // Answers that are still being read get a moment.
      await Promise.race([server.stop(), Bun.sleep(1_000)]);
      store.close();
      lock.release();
      guard.dismiss();
      process.exit(0);
    };
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => void end());

    console.log(`synthesis ${version} listens on ${server.url.origin}/v1`);
    console.log(`API key: ${config.apiKey ? "as configured" : paths.chatKey}`);
    console.log(`Claude Code: ${config.claudeBin}, working in ${config.workspace}`);
  });
}

/** Logs as JSON lines on stderr; stdout is for people. */
const configureLog = (config: Config) =>
  configure({
    sinks: { stderr: getConsoleSink({ formatter: getJsonLinesFormatter(), levelMap: stderrOnly }) },
    loggers: [
      { category: "synthesis", lowestLevel: config.logLevel, sinks: ["stderr"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["stderr"] },
    ],
  });

/** `console.error` writes to stderr, `console.info` would not. */
const stderrOnly = {
  trace: "error",
  debug: "error",
  info: "error",
  warning: "error",
  error: "error",
  fatal: "error",
} as const;

/** @throws ConfigError that says who holds the folder */
async function takeFolder(paths: Paths): Promise<Lock> {
  for (let looks = 0; ; looks += 1) {
    const result = takeLock(paths.lock);
    if ("lock" in result) return result.lock;
    const { heldBy } = result;
    // The guard of a server that was killed holds it for a moment, while it clears up.
    if ((heldBy && isRunning(heldBy.pid)) || looks === 20) {
      const who = heldBy ? ` (pid ${heldBy.pid}${heldBy.port ? `, port ${heldBy.port}` : ""})` : "";
      throw new ConfigError(
        `Another synthesis${who} uses ${paths.home}. Stop that one, or give this one a folder of its own with --home ` +
          "or SYNTHESIS_HOME.",
      );
    }
    await Bun.sleep(100);
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it runs, as another user.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function openPort<T>(config: Config, open: () => T): T {
  try {
    return open();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    throw new ConfigError(
      `Port ${config.bridgePort} on 127.0.0.1 is taken, perhaps by another synthesis. ` +
        "Stop that one, or choose another port with --bridge-port or SYNTHESIS_BRIDGE_PORT.",
    );
  }
}

/** How this program is started again, as a binary or from its source. */
function thisProgram(): string[] {
  return Bun.isStandaloneExecutable ? [process.execPath] : [process.execPath, join(import.meta.dir, "../main.ts")];
}
