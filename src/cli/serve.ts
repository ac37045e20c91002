/** `synthesis serve`: puts the server together, runs it, and ends everything it started. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { configure, getConsoleSink, getJsonLinesFormatter } from "@logtape/logtape";
import { Command, Option } from "commander";
import { version } from "../../package.json";
import { channelAllowed } from "../claude/managed-settings.ts";
import { createPool } from "../claude/pool.ts";
import { chatKey } from "../config/chat-key.ts";
import { ConfigError, flagName, loadConfig } from "../config/load.ts";
import { pathsFor } from "../config/paths.ts";
import { type Config, settings } from "../config/schema.ts";
import { createConversations } from "../conversation/conversations.ts";
import { listen } from "../http/listen.ts";
import { PLUGIN_NAME, writePlugin } from "../plugin/manifest.ts";

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

    const pool = createPool({
      config,
      paths,
      port: () => server.port ?? config.bridgePort,
      channelAllowed: channelAllowed(PLUGIN_NAME),
      env: process.env,
    });
    const conversations = createConversations({ config, pool, env: process.env });
    const server = openPort(config, () => listen({ config, key, pool, conversations }));
    writePlugin(paths.plugin, server.port ?? config.bridgePort, thisProgram());

    console.log(`synthesis ${version} listens on ${server.url.origin}/v1`);
    console.log(`API key: ${config.apiKey ? "as configured" : paths.chatKey}`);
    console.log(`Claude Code: ${config.claudeBin}, working in ${config.workspace}`);

    let ending = false;
    const end = async () => {
      if (ending) {
        pool.killAll();
        process.exit(1);
      }
      ending = true;
      await pool.stopAll();
      await server.stop(true);
      process.exit(0);
    };
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => void end());
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
