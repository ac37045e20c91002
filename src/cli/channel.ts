/** `synthesis channel`: the MCP server of our plugin. Claude Code starts it; users do not. */
import { Command } from "commander";
import { runChannel } from "../plugin/channel.ts";

export const channelCommand = () =>
  new Command("channel")
    .description("the MCP server in an agent process (started by Claude Code)")
    .action(() => runChannel(process.env));
