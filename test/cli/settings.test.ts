/** The options that several commands have. */
import { expect, test } from "bun:test";
import { Command } from "commander";
import { addSettings } from "../../src/cli/settings.ts";
import { flagName } from "../../src/config/load.ts";
import { isInternal, type Setting, settings } from "../../src/config/schema.ts";

const names = Object.keys(settings) as Setting[];

test("every setting is an option, and only internal ones are missing in the help text", () => {
  const command = addSettings(new Command("serve"));
  expect(command.options.map(({ long }) => long)).toEqual(["--home", ...names.map(flagName)]);
  const help = command.helpInformation();
  expect(names.filter((name) => !help.includes(`${flagName(name)} <`))).toEqual(names.filter(isInternal));
});
