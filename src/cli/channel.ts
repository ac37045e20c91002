/** `synthesis channel`: the plugin inside a claude. Claude Code starts it; people do not. */
import { Command } from "commander";
import { runChannel } from "../plugin/channel.ts";

export const channelCommand = () =>
  new Command("channel")
    .description("the plugin inside a claude (started by Claude Code)")
    .action(() => runChannel(process.env));
