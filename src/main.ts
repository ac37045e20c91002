#!/usr/bin/env bun
/** The entry point of the program and of the compiled binary: one command of `cli/`, by default `serve`. */
import { Command } from "commander";
import { closest, distance } from "fastest-levenshtein";
import { version } from "../package.json";
import { Failure } from "./cli/failure.ts";
import { ConfigError } from "./config/config-error.ts";
import { describePathProblem } from "./config/path-problem.ts";
import { visibleText } from "./core/visible-text.ts";

const program = new Command("synthesis")
  .description("Real, long-lived Claude Code processes behind an OpenAI-compatible API")
  .version(version);

// `channel` runs in every agent process. It starts faster, and takes less memory, without the code of the server.
if (process.argv[2] === "channel") {
  const { channelCommand } = await import("./cli/channel.ts");
  program.addCommand(channelCommand());
} else if (process.argv[2] === "sweep") {
  const { sweepCommand } = await import("./cli/sweep.ts");
  program.addCommand(sweepCommand());
} else if (startsServer(process.argv.slice(2))) {
  // The server runs for months. The code of the other commands takes three megabytes.
  program.addCommand((await import("./cli/serve.ts")).serveCommand(), { isDefault: true });
} else {
  const { doctorCommand } = await import("./cli/doctor.ts");
  program.addCommand(doctorCommand());
  const { serviceCommand } = await import("./cli/service.ts");
  program.addCommand(serviceCommand());
  const { setupCommand } = await import("./cli/setup.ts");
  program.addCommand(setupCommand());
  const { sessionsCommand } = await import("./cli/sessions.ts");
  program.addCommand(sessionsCommand());
  const { permissionsCommand } = await import("./cli/permissions.ts");
  program.addCommand(permissionsCommand());
  const { keysCommand } = await import("./cli/keys.ts");
  program.addCommand(keysCommand());
  const { nodesCommand } = await import("./cli/nodes.ts");
  program.addCommand(nodesCommand());
  const { usageCommand } = await import("./cli/usage.ts");
  program.addCommand(usageCommand());
  const { openCommand } = await import("./cli/open.ts");
  program.addCommand(openCommand());
  const { attachCommand } = await import("./cli/attach.ts");
  program.addCommand(attachCommand());
  const { serveCommand } = await import("./cli/serve.ts");
  program.addCommand(serveCommand(), { isDefault: true });
}

try {
  rejectUnknownCommand(process.argv[2]);
  await program.parseAsync();
} catch (error) {
  const problem = describePathProblem(error);
  if (!problem && !(error instanceof ConfigError || error instanceof Failure)) throw error;
  console.error(visibleText(problem ? `${problem.what} ${problem.advice}` : (error as Error).message));
  // Setting `process.exitCode` would not be enough: open files and timers would keep the process running.
  process.exit(error instanceof Failure ? 1 : 2);
}

/** Whether the arguments are those of `serve`, with or without its name, and do not ask for the list of commands. */
function startsServer([first, ...others]: readonly string[]): boolean {
  const asks = new Set(["-h", "--help", "-V", "--version"]);
  if (first === "serve") return true;
  return first === undefined || (first.startsWith("-") && ![first, ...others].some((one) => asks.has(one)));
}

/** Commander would report an unknown command as one argument too many for `serve`. */
function rejectUnknownCommand(name: string | undefined): void {
  const names = program.commands.map((command) => command.name());
  if (name === undefined || name.startsWith("-") || [...names, "help"].includes(name)) return;
  const nearest = closest(name, names);
  const advice =
    distance(name, nearest) <= name.length / 3 ? `Did you mean ${nearest}?` : `The commands are: ${names.join(", ")}.`;
  throw new Failure(`There is no command ${name}. ${advice}`);
}
