/** The options that several commands have. */
import { expect, test } from "bun:test";
import { Command } from "commander";
import { addSettings } from "../../src/cli/options.ts";
import { isInternal } from "../../src/config/schema.ts";
import { flagName, settingNames } from "../../src/config/setting-names.ts";

test("every setting is an option, and only internal ones are missing in the help text", () => {
  const command = addSettings(new Command("serve"));
  expect(command.options.map(({ long }) => long)).toEqual(["--home", ...settingNames.map(flagName)]);
  const help = command.helpInformation();
  expect(settingNames.filter((name) => !help.includes(`${flagName(name)} <`))).toEqual(settingNames.filter(isInternal));
});
