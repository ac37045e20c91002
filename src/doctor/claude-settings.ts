/** Checks Claude Code's settings: managed, of the user, and of the workspaces. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type BlockingSetting, describeBlockingSetting, findBlockingSettings } from "../claude/blocking-settings.ts";
import { configFolder } from "../claude/config-folder.ts";
import type { AgentEngine } from "../claude/engines.ts";
import { readManagedSettings } from "../claude/managed-settings.ts";
import { agentWorkspaces, namesEngine } from "../config/agent-settings.ts";
import type { Config } from "../config/schema.ts";
import { realFolder } from "../core/real-folder.ts";
import { PLUGIN_NAME } from "../plugin/manifest.ts";
import { type Check, subject } from "./check.ts";

type Env = Record<string, string | undefined>;

const hooks = subject("hooks");
const userSettings = subject("claude_settings", "claude's settings");
const blockingSettings = subject("blocking_settings", "settings of workspaces");
const mode = subject("permission_mode", "permission mode");

/** @param engines of all conversations and of the agents */
export function hooksCheck({ reply }: Config, engines: readonly AgentEngine[]): Check {
  if (!engines.some(({ engine }) => engine === "interactive")) return hooks.ok("not needed over stream-json");
  if (!readManagedSettings(PLUGIN_NAME).hooksForbidden) return hooks.ok("allowed");
  if (reply === "tool") return hooks.ok("forbidden by managed settings; the reply tool works without them");
  return hooks.failed(
    "forbidden",
    "forbidden by managed settings (allowManagedHooksOnly or disableAllHooks)",
    "Set SYNTHESIS_REPLY=tool.",
  );
}

/** Claude Code opens a dialog about a settings file that it cannot parse, and then no conversation can start. */
export function userSettingsCheck(env: Env): Check {
  const file = join(configFolder(env), "settings.json");
  if (!existsSync(file)) return userSettings.ok("the defaults");
  const content = readFileSync(file, "utf8");
  try {
    JSON.parse(content);
    return userSettings.ok(file);
  } catch (error) {
    return userSettings.failed(
      "not_json",
      `${file} is not valid JSON: ${(error as Error).message}`,
      "Correct the file, or move it away.",
    );
  }
}

export function permissionModeCheck({ permissionMode }: Config, env: Env): Check {
  // Claude Code lets root use this mode only in a sandbox, and IS_SANDBOX=1 says that it runs in one.
  if (permissionMode !== "bypassPermissions" || process.getuid?.() !== 0 || env.IS_SANDBOX === "1") {
    return mode.ok(permissionMode);
  }
  return mode.failed(
    "refused_to_root",
    "Claude Code does not let root use bypassPermissions",
    "Start synthesis as another user, or choose another SYNTHESIS_PERMISSION_MODE.",
  );
}

/** Finds settings of the user and of the workspaces that block our plugin, its channel or its tools. */
export function blockingSettingsChecks(config: Config, env: Env): Check[] {
  const workspaces = [config.workspace, ...agentWorkspaces(config)].map(realFolder);
  // The user's own file blocks every workspace, and is reported once.
  const found = new Map(
    workspaces
      .flatMap((folder) => findBlockingSettings(folder, env))
      .map((setting) => [describeBlockingSetting(setting), setting] as const),
  );
  if (found.size === 0) return [blockingSettings.ok("none that block synthesis")];
  const isInteractive = namesEngine("interactive", config);
  return [...found.values()].map((setting) => blockingSettingCheck(setting, isInteractive));
}

/** @param isInteractive the configuration requires Claude Code in a terminal */
function blockingSettingCheck(setting: BlockingSetting, isInteractive: boolean): Check {
  const which = describeBlockingSetting(setting);
  if (setting.blocks !== "tools" && !isInteractive) {
    return blockingSettings.ok(`${which} keeps Claude Code from channels; it is run over stream-json there`);
  }
  switch (setting.blocks) {
    case "plugin":
      return blockingSettings.failed("plugin", `${which} blocks the plugin of synthesis`, "Remove the setting.");
    case "channel":
      return blockingSettings.warning(
        "channel",
        `${which} may disable channels`,
        "Remove the setting if requests fail with `channel_refused`.",
      );
    case "tools":
      return blockingSettings.warning(
        "tools",
        `${which} denies Claude the tools of clients`,
        "Remove the setting to allow these tools.",
      );
  }
}
