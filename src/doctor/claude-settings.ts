/** Checks Claude Code's settings: managed, of the user, and of the workspaces. */
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { join, resolve } from "node:path";
import { type BlockingSetting, describeBlockingSetting, findBlockingSettings } from "../claude/blocking-settings.ts";
import { configFolder } from "../claude/config-folder.ts";
import { readManagedSettings } from "../claude/managed-settings.ts";
import type { Config } from "../config/schema.ts";
import { PLUGIN_NAME } from "../plugin/manifest.ts";
import { type Check, subject } from "./check.ts";

type Env = Record<string, string | undefined>;

const hooks = subject("hooks");
const userSettings = subject("claude_settings", "claude's settings");
const blockingSettings = subject("blocking_settings", "settings of workspaces");
const mode = subject("permission_mode", "permission mode");

export function hooksCheck({ reply, engine }: Config): Check {
  if (engine === "stream") return hooks.ok("not needed with SYNTHESIS_ENGINE=stream");
  if (!readManagedSettings(PLUGIN_NAME).hooksForbidden) return hooks.ok("allowed");
  if (reply === "tool") return hooks.ok("forbidden by managed settings; the reply tool works without them");
  if (engine === "auto") return hooks.ok("forbidden by managed settings; Claude Code is run over stream-json instead");
  return hooks.failed(
    "forbidden",
    "forbidden by managed settings (allowManagedHooksOnly)",
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
export function blockingSettingsChecks({ workspace, agents }: Config, env: Env): Check[] {
  const workspaces = [workspace, ...Object.values(agents).map((agent) => agent.workspace)].map(realFolder);
  // The user's own file blocks every workspace, and is reported once.
  const found = new Map(
    workspaces
      .flatMap((folder) => findBlockingSettings(folder, env))
      .map((setting) => [describeBlockingSetting(setting), setting] as const),
  );
  if (found.size === 0) return [blockingSettings.ok("none that block synthesis")];
  return [...found.values()].map(blockingSettingCheck);
}

function blockingSettingCheck(setting: BlockingSetting): Check {
  const which = describeBlockingSetting(setting);
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

function realFolder(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    // The folder is created at the first message.
    return resolve(folder);
  }
}
