/** `synthesis service`: lets systemd or launchd run the server, from the start of the machine or of a login. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import { type Paths, pathsFor } from "../config/paths.ts";
import { prepareStateFolder } from "../config/state-folder.ts";
import { serviceChecks } from "../doctor/service.ts";
import { defineService, type ServiceDefinition } from "../service/definition.ts";
import { installedService, ServiceError, type ServiceManager, serviceManager } from "../service/manager.ts";
import { lockHolder } from "../store/lock.ts";
import { Failure } from "./failure.ts";
import { homeOption } from "./options.ts";
import { print } from "./print.ts";
import { thisProgram } from "./this-program.ts";

interface Options {
  readonly home?: string;
  readonly lines?: string;
  readonly follow?: boolean;
}

/** How long a server may take to listen. */
const START_MS = 30_000;

export function serviceCommand(): Command {
  const command = new Command("service").description("let systemd or launchd run the server, for this user");
  const { env } = process;
  const manager = serviceManager(env);
  const add = (
    usage: string,
    description: string,
    action: (paths: Paths, options: Options) => void | Promise<void>,
    needsManager = true,
  ) =>
    command
      .command(usage)
      .description(description)
      .addOption(homeOption())
      .action(async (options: Options) => {
        const problem = needsManager ? manager.problem() : null;
        if (problem) throw new Failure(problem);
        try {
          await action(pathsFor(options.home ?? env.SYNTHESIS_HOME), options);
        } catch (error) {
          if (!(error instanceof ServiceError)) throw error;
          throw new Failure(error.message);
        }
      });

  add("install", "install the service with the settings of this shell, or renew it, and start it", (paths) =>
    install(manager, paths),
  );
  add(
    "print",
    "print what `install` would write, and change nothing",
    (paths) => print(manager.text(definition(paths)).trimEnd()),
    false,
  );
  add("status", "show whether the service runs, and what is wrong with it", async (paths) => {
    requireInstalled(manager);
    const { text, pid, isRunning } = manager.state();
    print(`${manager.file}\n${text}${pid === null ? "" : `, pid ${pid}`}`);
    for (const { result, found, advice } of await serviceChecks(paths, env)) {
      if (result !== "ok") print(`${found}\n    → ${advice}`);
    }
    if (!isRunning) process.exitCode = 1;
  });
  add("logs", "show the log of the service", async ({ home }, { lines = "100", follow = false }) => {
    requireInstalled(manager);
    const log = Bun.spawn(manager.logCommand(join(home, "service.log"), lines, follow), {
      stdio: ["ignore", "inherit", "inherit"],
    });
    // Ctrl-C reaches the other program, too, which ends by it.
    process.on("SIGINT", () => {});
    process.exitCode = await log.exited;
  })
    .option("-n, --lines <number>", "how many lines (100)")
    .option("-f, --follow", "show new lines as they come");
  add("restart", "restart the server; running turns may finish first", async (paths) => {
    requireInstalled(manager);
    manager.restart();
    await started(manager, paths);
  });
  add("uninstall", "stop the server and remove the service; conversations and settings stay", (paths) => {
    const isInstalled = existsSync(manager.file);
    manager.uninstall(pathsFor(installedService(manager)?.home ?? paths.home).serviceEnvironment);
    print(
      isInstalled ? `Removed ${manager.file}. Conversations stay in ${paths.home}.` : "The service is not installed.",
    );
  });
  return command;
}

const definition = (paths: Paths): ServiceDefinition =>
  defineService({ paths, config: loadConfig(paths, process.env, {}), program: thisProgram(), env: process.env });

function requireInstalled({ file }: ServiceManager): void {
  if (!existsSync(file)) throw new Failure("The service is not installed. Run `synthesis service install`.");
}

async function install(manager: ServiceManager, paths: Paths): Promise<void> {
  const service = definition(paths);
  const other = installedService(manager);
  if (other && other.home !== paths.home) {
    throw new Failure(`The service uses the state folder ${other.home}. Run \`synthesis service uninstall\` first.`);
  }
  const holder = lockHolder(paths.lock);
  if (holder && holder.pid !== manager.state().pid) {
    throw new Failure(`A server (pid ${holder.pid}) already runs in ${paths.home}. Stop it, and install again.`);
  }
  if (!service.claude) {
    throw new Failure("Claude Code was not found. Install it, or set SYNTHESIS_CLAUDE_BIN to its path.");
  }
  prepareStateFolder(paths);
  manager.install(service);
  print(`Installed ${manager.file}`);
  print(`Program: ${service.program.join(" ")}\nClaude Code: ${service.claude}`);
  const names = Object.keys(service.privateEnvironment);
  if (names.length > 0)
    print(`Taken over into ${service.environmentFile}, which only you can read: ${names.join(", ")}`);
  for (const warning of service.warnings) print(`Warning: ${warning}`);
  const advice = manager.lingerAdvice();
  if (advice) print(advice);
  await started(manager, paths);
}

/** Waits until the server of the service listens. @throws Failure if it does not */
async function started(manager: ServiceManager, paths: Paths): Promise<void> {
  const deadline = performance.now() + START_MS;
  for (;;) {
    const holder = lockHolder(paths.lock);
    if (holder?.port && holder.pid === manager.state().pid) {
      print(`The server listens on http://127.0.0.1:${holder.port}/v1`);
      return;
    }
    if (performance.now() > deadline) break;
    await Bun.sleep(200);
  }
  throw new Failure(`The server does not run: ${manager.state().text}. \`synthesis service logs\` says why.`);
}
