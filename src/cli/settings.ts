/** Options that several commands have. */
import { type Command, Option } from "commander";
import { flagName } from "../config/load.ts";
import { isInternal, type Setting, settings } from "../config/schema.ts";

export const homeOption = () => new Option("--home <folder>", "state folder (SYNTHESIS_HOME, default ~/.synthesis)");

/** Adds `--home` and an option for every setting. */
export function addSettings(command: Command): Command {
  command.addOption(homeOption());
  for (const name of Object.keys(settings) as Setting[]) {
    command.addOption(new Option(`${flagName(name)} <value>`, settings[name].description).hideHelp(isInternal(name)));
  }
  return command;
}
