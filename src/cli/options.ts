/** Options and arguments that several commands have. */
import { Argument, type Command, Option } from "commander";
import { isInternal, settings } from "../config/schema.ts";
import { flagName, settingNames } from "../config/setting-names.ts";

export const homeOption = () => new Option("--home <folder>", "state folder (SYNTHESIS_HOME, default ~/.synthesis)");

export const sessionArgument = () => new Argument("<session>", "the session's key, or its beginning or end");

/** Adds `--home` and an option for every setting. */
export function addSettings(command: Command): Command {
  command.addOption(homeOption());
  for (const name of settingNames) {
    command.addOption(new Option(`${flagName(name)} <value>`, settings[name].description).hideHelp(isInternal(name)));
  }
  return command;
}
