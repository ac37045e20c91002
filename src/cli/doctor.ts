/** `synthesis doctor`: says what is wrong and what to do, in plain words. */
import { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import { type Paths, pathsFor } from "../config/paths.ts";
import { type Check, ok, warning } from "../doctor/check.ts";
import { runChecks } from "../doctor/checks.ts";
import { runSmokeTest } from "../doctor/smoke-test.ts";
import { lockHolder } from "../store/lock.ts";
import { Failure } from "./failure.ts";
import { print, printJson } from "./print.ts";
import { runningServer } from "./running-server.ts";
import { addSettings } from "./settings.ts";
import { thisProgram } from "./this-program.ts";

export function doctorCommand(): Command {
  const command = new Command("doctor")
    .description("look whether everything is in place, and say what to do if not")
    .option("--live", "send one message through a real claude, and show the time of each step")
    .option("--json", "print the checks as JSON");
  return addSettings(command).action(
    async ({ home, live, json, ...flags }: { home?: string; live?: boolean; json?: boolean }) => {
      const paths = pathsFor(home ?? process.env.SYNTHESIS_HOME);
      const checks = await runChecks(paths, process.env, flags);
      checks.push(...(await runningConfigChecks(paths)));
      const broken = () => checks.some(({ result }) => result === "failed");
      if (live && !broken()) {
        const { workspace } = loadConfig(paths, process.env, flags);
        const user = { configFile: paths.configFile, workspace };
        checks.push(...(await runSmokeTest(thisProgram(), process.env, user, flags)));
      }
      if (json) printJson({ ok: !broken(), checks });
      else print(checks.map(line).join("\n"));
      if (broken()) process.exitCode = 1;
    },
  );
}

/** A file that was changed while the server runs counts at its next start. Nothing when no server runs. */
async function runningConfigChecks(paths: Paths): Promise<Check[]> {
  const name = "running configuration";
  if (!lockHolder(paths.lock)?.port) return [];
  try {
    const { changed, problem } = await runningServer(paths.home).configDifference();
    if (problem !== null) return [warning(name, `the server could not start again: ${problem}`, "Correct it.")];
    if (changed.length === 0) return [ok(name, "as at the start")];
    return [
      warning(
        name,
        `${paths.configFile} has changed since the server started: ${changed.join(", ")}`,
        "Restart synthesis to use it. If the change is not yours, undo it first: Claude may have made it.",
      ),
    ];
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return [warning(name, error.message, "Restart synthesis, and look again.")];
  }
}

const MARKS = { ok: "✓", warning: "!", failed: "✗" } as const;

const line = ({ name, result, found, advice }: Check): string =>
  `${MARKS[result]} ${name}: ${found}${advice ? `\n    → ${advice}` : ""}`;
