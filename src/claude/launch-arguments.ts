/** The arguments of `claude` that are the same however it is run. */
import type { Config } from "../config/schema.ts";
import type { LaunchChoice, LaunchSpec } from "./launch-spec.ts";
import { allowedTools, DISALLOWED_TOOLS } from "./tool-rules.ts";

/**
 * @param settings path of the settings, which are a file because every user of the machine can read a process's arguments
 * @param permissionMode the configured mode unless the engine needs another one
 */
export const commonArguments = (
  spec: LaunchSpec,
  config: Config,
  settings: string,
  permissionMode = config.permissionMode as string,
): readonly string[] => [
  spec.resume ? "--resume" : "--session-id",
  spec.claudeSession,
  "--permission-mode",
  permissionMode,
  "--effort",
  spec.choice.effort ?? config.effort,
  ...(spec.choice.model === null ? [] : ["--model", spec.choice.model]),
  "--allowed-tools",
  allowedTools(config),
  "--disallowed-tools",
  [...DISALLOWED_TOOLS, ...spec.choice.claudeTools.without].join(","),
  // Otherwise a resumed session keeps the system prompt that it began with.
  "--system-prompt-snapshot",
  "off",
  ...onlyTools(spec.choice),
  "--settings",
  settings,
];

function onlyTools({ isIsolated, claudeTools }: LaunchChoice): readonly string[] {
  const only = isIsolated ? [] : claudeTools.only;
  return only === null ? [] : ["--tools", only.join(",")];
}
