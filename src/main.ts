#!/usr/bin/env bun
/** The program: `synthesis serve` by default; `channel` runs inside each claude, `sweep` after a killed server. */
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

// The plugin runs once per claude: it must not load the server, nor the server the plugin.
if (process.argv[2] === "channel") {
  const { channelCommand } = await import("./cli/channel.ts");
  program.addCommand(channelCommand());
} else if (process.argv[2] === "sweep") {
  const { sweepCommand } = await import("./cli/sweep.ts");
  program.addCommand(sweepCommand());
} else {
  const { doctorCommand } = await import("./cli/doctor.ts");
  program.addCommand(doctorCommand());
  const { setupCommand } = await import("./cli/setup.ts");
  program.addCommand(setupCommand());
  const { sessionsCommand } = await import("./cli/sessions.ts");
  program.addCommand(sessionsCommand());
  const { permissionsCommand } = await import("./cli/permissions.ts");
  program.addCommand(permissionsCommand());
  const { attachCommand } = await import("./cli/attach.ts");
  program.addCommand(attachCommand());
  const { serveCommand } = await import("./cli/serve.ts");
  program.addCommand(serveCommand(), { isDefault: true });
}

try {
  refuseUnknown(process.argv[2]);
  await program.parseAsync();
} catch (error) {
  const obstacle = describePathProblem(error);
  if (!obstacle && !(error instanceof ConfigError || error instanceof Failure)) throw error;
  console.error(visibleText(obstacle ? `${obstacle.what} ${obstacle.advice}` : (error as Error).message));
  // Not just the exit code: what has been opened so far would keep the process alive.
  process.exit(error instanceof Failure ? 1 : 2);
}

/** A word that is no command would be one argument too many of the default command's. */
function refuseUnknown(word: string | undefined): void {
  const names = program.commands.map((command) => command.name());
  if (word === undefined || word.startsWith("-") || [...names, "help"].includes(word)) return;
  const nearest = closest(word, names);
  const advice =
    distance(word, nearest) <= word.length / 3 ? `Did you mean ${nearest}?` : `There are: ${names.join(", ")}.`;
  throw new Failure(`There is no command ${word}. ${advice}`);
}
