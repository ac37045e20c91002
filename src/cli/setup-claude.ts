/** `synthesis setup claude`: writes managed settings with which Claude Code loads our channel without a dialog. */
import { Command, Option } from "commander";
import { MANAGED_SETTINGS_FOLDER } from "../claude/managed-settings.ts";
import { dropIn, dropInFile, removeDropIn, writeDropIn } from "../setup/claude-managed-settings.ts";
import { print } from "./print.ts";

interface Options {
  readonly write?: boolean;
  readonly remove?: boolean;
  readonly folder: string;
}

export function setupClaudeCommand(): Command {
  return new Command("claude")
    .description("managed settings with which Claude Code loads our channel without a dialog")
    .option("--write", "write the settings (as root)")
    .option("--remove", "remove the settings (as root)")
    .addOption(
      new Option("--folder <folder>", "the folder of managed settings").default(MANAGED_SETTINGS_FOLDER).hideHelp(),
    )
    .action(({ write, remove, folder }: Options) => {
      const file = dropInFile(folder);
      if (remove) print(removeDropIn(folder) ? `Removed ${file}.` : `${file} does not exist.`);
      else if (write) print(`Wrote ${writeDropIn(folder)}. Claude Code uses it from its next start.`);
      else print(explanation(folder));
    });
}

const explanation = (folder: string) =>
  `At every start Claude Code asks whether it may load a development channel, and synthesis answers the
dialog. With these managed settings it does not ask, and starts sooner. They apply to every user of
this machine, and only root can write them:

  sudo synthesis setup claude --write     writes ${dropInFile(folder)}
  sudo synthesis setup claude --remove    removes it

${JSON.stringify(dropIn(folder), null, 2)}

Claude Code then loads only the channels of plugins in this list: ours, and those that other managed
settings list. If you use channels of other plugins, add them to the list.`;
