/** `synthesis serve`: puts the server together, runs it, and ends everything it started. */
import { configure, getConsoleSink, getJsonLinesFormatter, getLogger } from "@logtape/logtape";
import { Command } from "commander";
import { version } from "../../package.json";
import { readManagedSettings } from "../claude/managed-settings.ts";
import { killOrphans } from "../claude/pool/orphans.ts";
import { createPool } from "../claude/pool/pool.ts";
import { startWatchdog } from "../claude/pool/watchdog.ts";
import { chatKey, controlKey } from "../config/keys.ts";
import { ConfigError, loadConfig } from "../config/load.ts";
import { type Paths, pathsFor } from "../config/paths.ts";
import { createRunningConfig } from "../config/running-config.ts";
import type { Config } from "../config/schema.ts";
import { prepareStateFolder, prepareWorkspace } from "../config/state-folder.ts";
import { createAttachmentStore } from "../conversation/attachment-store.ts";
import { likelyLaunches } from "../conversation/record.ts";
import { createConversationRegistry } from "../conversation/registry.ts";
import { startPruning } from "../conversation/retention.ts";
import { workspaceChecks } from "../doctor/checks.ts";
import { claudeChecks } from "../doctor/claude.ts";
import { listen } from "../http/listen.ts";
import { createOneShots } from "../one-shot/queue.ts";
import { createPermissionBroker } from "../permissions/broker.ts";
import { PLUGIN_NAME } from "../plugin/manifest.ts";
import { openStore } from "../store/database.ts";
import { storeFault } from "../store/faults.ts";
import { isRunning, type Lock, takeLock } from "../store/lock.ts";
import { createPermissionLog } from "../store/permissions.ts";
import { createRetention } from "../store/retention.ts";
import { createSessionStore } from "../store/sessions.ts";
import { createTurnStore } from "../store/turns.ts";
import { limitRepeats } from "./log-limit.ts";
import { packageRunner, watchPackageRunner } from "./package-runner.ts";
import { print } from "./print.ts";
import { addSettings } from "./settings.ts";
import { thisProgram } from "./this-program.ts";

/** A second signal this soon after the first is the same one. */
const SECOND_SIGNAL_MS = 500;

export function serveCommand(): Command {
  const command = addSettings(new Command("serve").description("run the server (the default)"));
  return command.action(async ({ home, ...flags }: { home?: string }) => {
    // Read before anything that takes time, since the package runner may end at any moment.
    const runner = packageRunner(process.pid, process.env);
    const paths = pathsFor(home ?? process.env.SYNTHESIS_HOME);
    prepareStateFolder(paths);
    const managed = readManagedSettings(PLUGIN_NAME);
    const load = (): Config => {
      const config = loadConfig(paths, process.env, flags);
      // Where no hook of ours may run, only the reply tool can bring an answer.
      return managed.hooksForbidden ? { ...config, reply: "tool" } : config;
    };
    const running = createRunningConfig(load(), load);
    const { config } = running;
    const keys = { chat: config.apiKey ?? chatKey(paths.chatKey), control: controlKey(paths.controlKey) };
    prepareWorkspace(config.workspace);
    await configureLog(config);

    const lock = await takeFolder(paths);
    // However the start fails: nobody is told of a server that is none.
    process.on("exit", lock.release);
    killOrphans(paths.run);
    const {
      store,
      begun: turns,
      setAside,
    } = openStore(paths.database, (store) => {
      const turns = createTurnStore(store);
      turns.markLost(Date.now());
      return turns;
    });
    if (setAside)
      getLogger(["synthesis", "store"]).error("the database was damaged: set aside as {setAside}", { setAside });

    const pool = createPool({
      config,
      paths,
      port: () => server.port,
      managed,
      program: thisProgram(),
      env: process.env,
    });
    const sessions = createSessionStore(store);
    const attachments = createAttachmentStore(paths.pictures);
    const permissionLog = createPermissionLog(store);
    permissionLog.markGone(Date.now());
    const permissions = createPermissionBroker({ config, permissionLog, env: process.env });
    const conversations = createConversationRegistry({
      config,
      pool,
      sessions,
      turns,
      attachments,
      permissions,
      env: process.env,
    });
    const oneShots = createOneShots({ config, paths, env: process.env });
    const deps = {
      config,
      running,
      keys,
      pool,
      conversations,
      oneShots,
      sessions,
      turns,
      permissions,
      permissionLog,
      nowhere: paths.nowhere,
    };
    const server = openPort(config, () => listen(deps));
    lock.announce(server.port);

    pool.expect(likelyLaunches(sessions, config));
    const endPruning = startPruning({
      config,
      retention: createRetention(store),
      sessions,
      conversations,
      attachments,
      env: process.env,
    });

    const guard = startWatchdog([...thisProgram(), "sweep", "--home", paths.home]);

    let endingSince: number | null = null;
    const end = async () => {
      if (endingSince !== null) {
        // Ctrl-C reaches us twice at once, from the terminal and from npx; a person takes longer.
        if (performance.now() - endingSince < SECOND_SIGNAL_MS) return;
        pool.killAll();
        oneShots.killAll();
        process.exit(1);
      }
      endingSince = performance.now();
      endPruning();
      getLogger(["synthesis"]).info("shutting down");
      await Promise.all([conversations.drain(config.drainMs), oneShots.drain(config.drainMs)]);
      await pool.stopAll();
      // Answers that are still being read get a moment.
      await Promise.race([server.stop(), Bun.sleep(1_000)]);
      turns.flush();
      store.close();
      lock.release();
      guard.dismiss();
      process.exit(0);
    };
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => void end());
    watchPackageRunner(runner, () => {
      // Not a second signal: that would end the turns that are still running.
      if (endingSince !== null) return;
      getLogger(["synthesis"]).info("the package runner that started this server has ended");
      void end();
    });

    print(`synthesis ${version} listens on ${server.origin}/v1`);
    print(`API key: ${config.apiKey ? "as configured" : paths.chatKey}`);
    print(`Workspace: ${config.workspace}`);
    if (setAside) {
      print(`Database: damaged, and set aside as ${setAside}. Conversations begin anew; nothing else is lost`);
    }
    print(await aboutClaude(config));
  });
}

/** Which claude will be used, or what keeps it from being used; either way the server runs. */
async function aboutClaude(config: Config): Promise<string> {
  const [program, ...others] = await claudeChecks(config, process.env);
  const wrong = [program, ...others, ...workspaceChecks(config)].find((check) => check?.result === "failed");
  if (!wrong) return `Claude Code: ${program?.found}, ready to start`;
  const which = wrong === program ? "" : `${program?.found}, `;
  return `Claude Code: ${which}NOT READY: ${wrong.name}: ${wrong.found}. ${wrong.advice} \`synthesis doctor\` looks at all else.`;
}

/** Logs as JSON lines on stderr; stdout is for people. */
const configureLog = (config: Config) => {
  const limited = limitRepeats(getConsoleSink({ formatter: getJsonLinesFormatter(), levelMap: stderrOnly }));
  process.on("exit", limited.flush);
  return configure({
    sinks: { stderr: limited.sink },
    loggers: [
      { category: "synthesis", lowestLevel: config.logLevel, sinks: ["stderr"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["stderr"] },
    ],
  });
};

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
    const result = lockIn(paths);
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

function lockIn({ lock, home }: Paths): ReturnType<typeof takeLock> {
  try {
    return takeLock(lock);
  } catch (error) {
    const fault = storeFault(error);
    throw fault ? new ConfigError(`${home}: ${fault.what} ${fault.advice}`) : error;
  }
}

function openPort<T>(config: Config, open: () => T): T {
  try {
    return open();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES") {
      throw new ConfigError(
        `Port ${config.bridgePort} on 127.0.0.1 is one that only root may open. Choose one above 1023 with ` +
          "--bridge-port or SYNTHESIS_BRIDGE_PORT.",
      );
    }
    if (code !== "EADDRINUSE") throw error;
    throw new ConfigError(
      `Port ${config.bridgePort} on 127.0.0.1 is taken, perhaps by another synthesis. ` +
        "Stop that one, or choose another port with --bridge-port or SYNTHESIS_BRIDGE_PORT.",
    );
  }
}
