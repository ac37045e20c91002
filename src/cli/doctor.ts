/** `synthesis doctor`: checks everything that a turn needs, and prints what is wrong and what to do about it. */
import { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import { type Paths, pathsFor } from "../config/paths.ts";
import { type Check, subject } from "../doctor/check.ts";
import { testNotification } from "../doctor/notifications.ts";
import { runChecks } from "../doctor/run-checks.ts";
import { runSmokeTest } from "../doctor/smoke-test.ts";
import { lockHolder } from "../store/lock.ts";
import { Failure } from "./failure.ts";
import { addSettings } from "./options.ts";
import { print, printJson } from "./print.ts";
import { runningServer } from "./running-server.ts";
import { thisProgram } from "./this-program.ts";

interface Options {
  readonly home?: string;
  readonly live?: boolean;
  readonly json?: boolean;
}

export function doctorCommand(): Command {
  const command = new Command("doctor")
    .description("check that everything is in place, and say what to do if it is not")
    .option(
      "--live",
      "send one message through Claude Code, show how long each step takes, and send a test notification",
    )
    .option("--json", "print the checks as JSON");
  return addSettings(command).action(async ({ home, live, json, ...flags }: Options) => {
    const { env } = process;
    const paths = pathsFor(home ?? env.SYNTHESIS_HOME);
    const checks = await runChecks(paths, env, flags);
    checks.push(...(await runningConfigChecks(paths)));
    const hasFailed = () => checks.some(({ result }) => result === "failed");
    if (live && !hasFailed()) {
      const config = loadConfig(paths, env, flags);
      const { workspace } = config;
      const { configFile } = paths;
      checks.push(...(await testNotification(config)));
      checks.push(...(await runSmokeTest({ program: thisProgram(), env, configFile, workspace, flags })));
    }
    if (json) printJson({ ok: !hasFailed(), checks: checks.map(({ id, ...shown }) => shown) });
    else print(checks.map(asLines).join("\n"));
    if (hasFailed()) process.exitCode = 1;
  });
}

/** Compares the configuration of the running server with the file. No checks when no server runs. */
async function runningConfigChecks(paths: Paths): Promise<Check[]> {
  const running = subject("running_configuration", "running configuration");
  if (!lockHolder(paths.lock)?.port) return [];
  try {
    const { changed, problem } = await runningServer(paths.home).configDifference();
    if (problem !== null) {
      return [running.warning("invalid", `the server could not start again: ${problem}`, "Correct it.")];
    }
    if (changed.length === 0) return [running.ok("unchanged since the server started")];
    return [
      running.warning(
        "changed",
        `${paths.configFile} has changed since the server started: ${changed.join(", ")}`,
        "Restart synthesis to use the change. If you did not make it, undo it first: Claude may have made it.",
      ),
    ];
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return [running.warning("no_answer", error.message, "Restart synthesis, and run `synthesis doctor` again.")];
  }
}

const MARKS = { ok: "✓", warning: "!", failed: "✗" } as const;

const asLines = ({ name, result, found, advice }: Check): string =>
  `${MARKS[result]} ${name}: ${found}${advice ? `\n    → ${advice}` : ""}`;
