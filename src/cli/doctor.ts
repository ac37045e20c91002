/** `synthesis doctor`: says what is wrong and what to do, in plain words. */
import { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import { pathsFor } from "../config/paths.ts";
import type { Check } from "../doctor/check.ts";
import { examine } from "../doctor/checks.ts";
import { liveTurn } from "../doctor/live.ts";
import { print, printJson } from "./print.ts";
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
      const checks = await examine(paths, process.env, flags);
      const broken = () => checks.some(({ result }) => result === "failed");
      if (live && !broken()) {
        const { workspace } = loadConfig(paths, process.env, flags);
        const user = { configFile: paths.configFile, workspace };
        checks.push(...(await liveTurn(thisProgram(), process.env, user, flags)));
      }
      if (json) printJson({ ok: !broken(), checks });
      else print(checks.map(line).join("\n"));
      if (broken()) process.exitCode = 1;
    },
  );
}

const MARKS = { ok: "✓", warning: "!", failed: "✗" } as const;

const line = ({ name, result, found, advice }: Check): string =>
  `${MARKS[result]} ${name}: ${found}${advice ? `\n    → ${advice}` : ""}`;
