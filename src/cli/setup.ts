/** `synthesis setup`: prepares OpenClaw or Claude Code to work with synthesis. */
import { Command } from "commander";
import { setupClaudeCommand } from "./setup-claude.ts";
import { setupOpenClawCommand } from "./setup-openclaw.ts";

export const setupCommand = () =>
  new Command("setup")
    .description("set up OpenClaw, or Claude Code, to work with synthesis")
    .addCommand(setupOpenClawCommand())
    .addCommand(setupClaudeCommand());
