/** How an interactive Claude Code process is started: its arguments, its environment, and the files they name. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Config } from "../../config/schema.ts";
import { PLUGIN_NAME, writePlugin } from "../../plugin/manifest.ts";
import { inheritedEnvironment, retries, UNATTENDED } from "../environment.ts";
import { requireExecutable } from "../executable.ts";
import { commonArguments } from "../launch-arguments.ts";
import { launchSettings, mcpLimits } from "../launch-settings.ts";
import type { LaunchSpec } from "../launch-spec.ts";
import type { ManagedSettings } from "../managed-settings.ts";
import { makeMarkedFolder } from "../marked-folder.ts";
import { MARK_VARIABLE } from "../process-mark.ts";
import { proxyExceptions } from "../proxy-exceptions.ts";
import { replacesSystemPrompt, systemPrompt } from "../system-prompt.ts";
import { statusLine } from "./status-line.ts";

export interface LaunchContext {
  /** The port the server listens on. */
  readonly port: number;
  readonly bridgeToken: string;
  readonly hookToken: string;
  /** The process's own folder, made here with mode 0700. Its name, a uuid, is also the process mark. */
  readonly folder: string;
  /** The command that starts this program again, for the plugin: its executable and first arguments. */
  readonly program: readonly string[];
  /** Permission rules that keep Claude's tools from the server's own files. */
  readonly deny: readonly string[];
  readonly managed: ManagedSettings;
}

export interface Launch {
  readonly argv: string[];
  readonly env: Record<string, string>;
  readonly debugFile: string;
  /** Where the status line writes its file. */
  readonly statusFolder: string;
}

/**
 * Writes the files of one process and returns the command to start it.
 * @throws RequestError (`claude_not_found`) when there is no such program
 */
export function prepareLaunch(
  spec: LaunchSpec,
  context: LaunchContext,
  config: Config,
  parentEnv: Record<string, string | undefined>,
): Launch {
  const executable = requireExecutable(config, parentEnv);
  // Contains no token: every command that Claude runs inherits these variables.
  const variables = {
    [MARK_VARIABLE]: basename(context.folder),
    SYNTHESIS_OPENCLAW_SESSION: spec.sessionKey,
    ...UNATTENDED,
    ...mcpLimits(config),
    ...proxyExceptions(spec.choice.workspace, parentEnv),
  };
  const files = writeFiles(spec, context, config, variables, parentEnv);
  return {
    argv: [executable, ...launchArguments(spec, context, config, files)],
    env: {
      ...inheritedEnvironment(parentEnv),
      ...retries(parentEnv),
      ...variables,
      TERM: "xterm-256color",
    },
    debugFile: files.debugLog,
    statusFolder: files.status,
  };
}

/** Paths of the files that one process is started with. */
interface LaunchFiles {
  readonly plugin: string;
  readonly settings: string;
  readonly systemPrompt: string;
  readonly debugLog: string;
  readonly status: string;
}

function writeFiles(
  spec: LaunchSpec,
  context: LaunchContext,
  config: Config,
  variables: Record<string, string>,
  parentEnv: Record<string, string | undefined>,
): LaunchFiles {
  const write = (name: string, content: string) => {
    const path = join(context.folder, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  try {
    makeMarkedFolder(context.folder);
    const plugin = join(context.folder, "plugin");
    writePlugin(plugin, { ...context, claudeSession: spec.claudeSession }, context.program);
    // A folder of its own, because a watch of the process's folder would report every line of the debug log.
    const status = join(context.folder, "status");
    mkdirSync(status, { mode: 0o700 });
    const settings = {
      ...launchSettings(spec, variables, context.deny),
      disableAllHooks: false,
      allowedHttpHookUrls: [`http://127.0.0.1:${context.port}/*`],
      enabledPlugins: { [`${PLUGIN_NAME}@inline`]: true },
      spinnerTipsEnabled: false,
      statusLine: statusLine(status, spec.choice.workspace, parentEnv),
    };
    return {
      plugin,
      settings: write("settings.json", JSON.stringify(settings)),
      systemPrompt: write("system-prompt.md", systemPrompt(spec.choice, config)),
      // Created here with mode 0600, because Claude Code would create it readable by everyone.
      debugLog: write("debug.log", ""),
      status,
    };
  } catch (error) {
    // The disk may be full. No process starts now, so nothing else would remove what was written.
    rmSync(context.folder, { recursive: true, force: true });
    throw error;
  }
}

function launchArguments(
  spec: LaunchSpec,
  { managed }: LaunchContext,
  config: Config,
  files: LaunchFiles,
): readonly string[] {
  // Without hooks a permission prompt would never reach the server. In this mode Claude Code denies instead of asking.
  const deniesInsteadOfAsking = managed.hooksForbidden && config.permissionMode !== "bypassPermissions";
  return [
    "--plugin-dir",
    files.plugin,
    managed.channelAllowed ? "--channels" : "--dangerously-load-development-channels",
    `plugin:${PLUGIN_NAME}@inline`,
    ...commonArguments(spec, config, files.settings, deniesInsteadOfAsking ? "dontAsk" : undefined),
    replacesSystemPrompt(spec.choice, config) ? "--system-prompt-file" : "--append-system-prompt-file",
    files.systemPrompt,
    "--debug-file",
    files.debugLog,
  ];
}
