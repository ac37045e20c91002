/**
 * How a claude is started: arguments, environment, and the files it is pointed to. Everything a
 * workspace could turn against us (hooks off, hooks elsewhere, our variables replaced) is said again in
 * `--settings`, which wins over the workspace's own.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import type { Config } from "../config/schema.ts";
import { ApiError } from "../openai/errors.ts";
import { PLUGIN_NAME, TOOL_PREFIX } from "../plugin/manifest.ts";
import type { ReplyMode } from "../wire/frames.ts";
import type { ManagedSettings } from "./managed-settings.ts";
import { findClaude } from "./program.ts";

/** What one claude is started for. */
export interface LaunchSpec {
  /** The conversation's key. */
  readonly sessionKey: string;
  /** claude's own session id, a uuid. */
  readonly claudeSession: string;
  /** claude has a transcript of this session and shall go on with it. */
  readonly resume: boolean;
  /** An absolute path that exists. */
  readonly workspace: string;
  /** The configuration names this workspace, so claude may be told to trust it. */
  readonly trusted: boolean;
}

export interface LaunchPlace {
  /** The port the server listens on. */
  readonly port: number;
  readonly bridgeToken: string;
  readonly hookToken: string;
  /** This process's own folder, made here with mode 0700. */
  readonly folder: string;
  /** The plugin's folder. */
  readonly plugin: string;
  readonly managed: ManagedSettings;
}

export interface Launch {
  readonly argv: string[];
  readonly env: Record<string, string>;
  readonly debugFile: string;
}

/**
 * Tools that would open a dialog nobody can see, start turns of their own, or leave the workspace we
 * gave. A chat has no use for them.
 */
const DISALLOWED_TOOLS = [
  "AskUserQuestion",
  "EnterPlanMode",
  "ExitPlanMode",
  "ScheduleWakeup",
  "CronCreate",
  "CronDelete",
  "CronList",
  "Workflow",
  "EnterWorktree",
  "ExitWorktree",
  "SendMessage",
  "ListAgents",
  "Monitor",
  "DesignSync",
  "ReportFindings",
];

/** Each says what claude would do without it. */
const QUIET = {
  /** Hide our tools behind a search, where late ones are never found. */
  ENABLE_TOOL_SEARCH: "false",
  /** Move an MCP call to the background after two minutes and end the turn. */
  CLAUDE_CODE_MCP_AUTO_BACKGROUND_MS: "0",
  /** Answer before its sub-agents have. */
  CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: "1",
  /** Start turns by the clock. */
  CLAUDE_CODE_DISABLE_CRON: "1",
  /** Ask how it is doing. */
  CLAUDE_CODE_DISABLE_FEEDBACK_SURVEY: "1",
  DISABLE_COST_WARNINGS: "1",
  DISABLE_ERROR_REPORTING: "1",
  /** Replace itself while conversations run. */
  DISABLE_AUTOUPDATER: "1",
};

/**
 * What a claude tells the programs it starts. If synthesis is one of them, its own claudes must not
 * take themselves for that claude's children.
 */
const OF_A_PARENT_CLAUDE = [
  "CLAUDECODE",
  "AI_AGENT",
  "CLAUDE_CODE_CHILD_SESSION",
  "CLAUDE_CODE_CHILD_NOTES_DIR",
  "CLAUDE_CODE_ENTRYPOINT",
  "CLAUDE_CODE_EXECPATH",
  "CLAUDE_CODE_MESSAGING_SOCKET",
  "CLAUDE_CODE_MESSAGING_TOKEN",
  "CLAUDE_CODE_SESSION_ATTENDED",
  "CLAUDE_CODE_SESSION_ID",
  "CLAUDE_EFFORT",
  "CLAUDE_PID",
];

const HOW_TO_ANSWER = {
  live: `They come from a person who sees everything you write as ordinary text, as you write it, and nothing else: \
no tool calls, no screen. Answer in plain text.`,
  tool: `They come from a person who sees only what you send with the reply tool, nothing else that you write or do. \
When something takes long, say so with \`final\` false; end with exactly one final reply.`,
};

/** A channel message does not bring the plugin's own instructions or the working directory; this does. */
const systemPrompt = (workspace: string, mode: ReplyMode) => `Messages reach you in <channel> tags. \
${HOW_TO_ANSWER[mode]} Files named in a tag's attributes are theirs, for you to read.
Your working directory is ${workspace}.
`;

/**
 * Says what a claude was started with, as far as it can be chosen: another hash means that a running one
 * has to be restarted.
 */
export function launchHash(workspace: string, config: Config): string {
  const { permissionMode, allowedTools, effort, useApiKey, reply } = config;
  return Bun.hash(JSON.stringify([workspace, permissionMode, allowedTools, effort, useApiKey, reply])).toString(16);
}

/**
 * Writes the files of one claude and says how to start it.
 * @throws ApiError (503) when there is no claude
 */
export function prepareLaunch(
  spec: LaunchSpec,
  place: LaunchPlace,
  config: Config,
  parentEnv: Record<string, string | undefined>,
): Launch {
  const claude = findClaude(config.claudeBin, parentEnv);
  if (!claude) {
    throw new ApiError(
      "claude_not_found",
      `There is no program ${config.claudeBin}. Install Claude Code (npm install -g @anthropic-ai/claude-code) or set ` +
        "SYNTHESIS_CLAUDE_BIN to where it is.",
      null,
      60,
    );
  }
  const ours = {
    SYNTHESIS_BRIDGE_URL: `ws://127.0.0.1:${place.port}/bridge`,
    SYNTHESIS_BRIDGE_TOKEN: place.bridgeToken,
    SYNTHESIS_HOOK_TOKEN: place.hookToken,
    SYNTHESIS_OPENCLAW_SESSION: spec.sessionKey,
    SYNTHESIS_CLAUDE_SESSION: spec.claudeSession,
    ...QUIET,
  };
  mkdirSync(place.folder, { recursive: true, mode: 0o700 });
  const file = (name: string, content: string) => {
    const path = join(place.folder, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  // In a file and not in an argument: every user of the machine can read arguments, and these hold the tokens.
  const settings = file(
    "settings.json",
    JSON.stringify({
      disableAllHooks: false,
      // A workspace may not start its own MCP servers by approving them itself.
      enableAllProjectMcpServers: false,
      disabledMcpjsonServers: projectMcpServers(spec.workspace),
      allowedHttpHookUrls: [`http://127.0.0.1:${place.port}/*`],
      env: ours,
      spinnerTipsEnabled: false,
    }),
  );
  const prompt = file("system-prompt.md", systemPrompt(spec.workspace, config.reply));
  // Made here so that it has our mode; claude would make it readable by all.
  const debugFile = file("debug.log", "");
  const channel = `plugin:${PLUGIN_NAME}@inline`;

  return {
    argv: [
      claude,
      "--plugin-dir",
      place.plugin,
      place.managed.channelAllowed ? "--channels" : "--dangerously-load-development-channels",
      channel,
      spec.resume ? "--resume" : "--session-id",
      spec.claudeSession,
      "--permission-mode",
      // Without hooks nobody could answer the question; this mode answers it with no.
      place.managed.hooksForbidden && config.permissionMode !== "bypassPermissions" ? "dontAsk" : config.permissionMode,
      "--effort",
      config.effort,
      "--allowed-tools",
      [...config.allowedTools, `${TOOL_PREFIX}*`].join(","),
      "--disallowed-tools",
      DISALLOWED_TOOLS.join(","),
      // Otherwise a resumed session keeps the system prompt it began with.
      "--system-prompt-snapshot",
      "off",
      "--append-system-prompt-file",
      prompt,
      "--settings",
      settings,
      "--debug-file",
      debugFile,
    ],
    env: { ...inherited(parentEnv), ...ours, TERM: "xterm-256color" },
    debugFile,
  };
}

/** The names of the MCP servers that a workspace, or a folder above it, brings in its `.mcp.json`. */
function projectMcpServers(folder: string): string[] {
  const file = join(folder, ".mcp.json");
  const above = dirname(folder) === folder ? [] : projectMcpServers(dirname(folder));
  if (!existsSync(file)) return above;
  try {
    return [...above, ...Object.keys(mcpFile.parse(JSON.parse(readFileSync(file, "utf8"))).mcpServers)];
  } catch {
    // claude can make nothing of it either.
    return above;
  }
}

const mcpFile = z.looseObject({ mcpServers: z.record(z.string(), z.unknown()) });

/** The parent's environment without what is synthesis's own or another claude's. */
function inherited(parentEnv: Record<string, string | undefined>): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(parentEnv)) {
    if (value === undefined || name.startsWith("SYNTHESIS_") || OF_A_PARENT_CLAUDE.includes(name)) continue;
    env[name] = value;
  }
  return env;
}
