/** Whether claude is there, logged in, and lets our channel and hooks in. */
import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { isApproved } from "../claude/api-key.ts";
import {
  type BlockingSetting,
  CHANNEL_SWITCHES,
  describeBlockingSetting,
  findBlockingSettings,
  OTHER_PROVIDERS,
} from "../claude/blocking-settings.ts";
import {
  type AuthStatus,
  claudeAuth,
  claudeVersion,
  EXPECTED_VERSIONS,
  findExecutable,
  TESTED_VERSION,
} from "../claude/executable.ts";
import { readManagedSettings } from "../claude/managed-settings.ts";
import type { Config } from "../config/schema.ts";
import { absoluteEntries } from "../core/search-path.ts";
import { PLUGIN_NAME } from "../plugin/manifest.ts";
import { type Check, failed, ok, warning } from "./check.ts";

type Env = Record<string, string | undefined>;

/** The first of them is about the program itself; when it has failed, it is the only one. */
export async function claudeChecks(config: Config, env: Env): Promise<Check[]> {
  const path = findExecutable(config.claudeBin, env);
  if (!path) return [absent(config.claudeBin)];
  const version = await claudeVersion(path, env);
  if (!version) {
    return [
      failed("claude", `${path} is not Claude Code, or does not answer`, "Set SYNTHESIS_CLAUDE_BIN to Claude Code."),
    ];
  }
  // claude in a terminal asks before it uses a key, and the answer is no: what has it without the key?
  const key = env.ANTHROPIC_API_KEY;
  const refused = key !== undefined && key !== "" && !config.useApiKey && !isApproved(key, env);
  const auth = await claudeAuth(path, refused ? { ...env, ANTHROPIC_API_KEY: undefined } : env);
  const call = callOf(path, env);
  return [
    Bun.semver.satisfies(version, EXPECTED_VERSIONS)
      ? ok("claude", `${path}, ${version}`)
      : warning(
          "claude",
          `${path}, ${version}`,
          `synthesis is tested with ${TESTED_VERSION}. If something fails: npm install -g @anthropic-ai/claude-code@${TESTED_VERSION}`,
        ),
    loginCheck(auth, refused, call),
    channelCheck(auth, env, call),
    hooksCheck(config),
    settingsCheck(env),
    permissionModeCheck(config, env),
  ];
}

function absent(bin: string): Check {
  const name = "claude";
  const path = resolve(bin);
  if (bin.includes("/") && existsSync(path)) {
    return statSync(path).isDirectory()
      ? failed(name, `${path} is a folder`, "Set SYNTHESIS_CLAUDE_BIN to the program in it, or to `claude`.")
      : failed(name, `${path} is there, but may not be run`, `chmod u+x ${path}, if it is Claude Code.`);
  }
  return failed(
    name,
    `no program ${bin}${bin.includes("/") ? "" : " on PATH"}`,
    "Install Claude Code (npm install -g @anthropic-ai/claude-code), or set SYNTHESIS_CLAUDE_BIN to where it is.",
  );
}

/** What a person types to start this claude. */
const callOf = (path: string, env: Env): string =>
  Bun.which("claude", { PATH: absoluteEntries(env.PATH) }) === path ? "claude" : path;

function loginCheck(auth: AuthStatus | null, keyRefused: boolean, call: string): Check {
  const name = "login";
  if (!auth) return warning(name, "claude does not tell", `Run \`${call}\` in a terminal and see whether it answers.`);
  if (auth.loggedIn) return ok(name, `by ${auth.authMethod ?? "an unknown way"}`);
  if (keyRefused) {
    return failed(
      name,
      "not logged in, and the ANTHROPIC_API_KEY in the environment is not approved",
      `Set SYNTHESIS_USE_API_KEY=true to use the key, or run \`${call}\` in a terminal and use /login.`,
    );
  }
  return failed(name, "not logged in", `Run \`${call}\` in a terminal and use /login.`);
}

const cachedSwitch = z.looseObject({ cachedGrowthBookFeatures: z.looseObject({ tengu_harbor: z.unknown() }) });

function channelCheck(auth: AuthStatus | null, env: Env, call: string): Check {
  const name = "channel";
  const set = [...CHANNEL_SWITCHES, ...OTHER_PROVIDERS].filter((variable) => env[variable]);
  if (set.length > 0) return failed(name, `switched off by ${set.join(", ")}`, "Unset it where you start synthesis.");
  if (auth?.apiProvider && auth.apiProvider !== "firstParty") {
    return failed(
      name,
      `does not work with ${auth.apiProvider}`,
      "Use Claude Code with a Claude login or an Anthropic key.",
    );
  }
  if (auth?.analyticsDisabled) {
    const advice = `Look for ${CHANNEL_SWITCHES.join(", ")} in Claude Code's settings (\`env\`), and remove it.`;
    return failed(name, "switched off in Claude Code's settings", advice);
  }
  const managed = readManagedSettings(PLUGIN_NAME);
  if (managed.channelsDisabled) {
    return failed(
      name,
      "managed settings without channelsEnabled",
      "Ask your administrator for `channelsEnabled: true`.",
    );
  }
  const way = managed.channelAllowed ? "allowed by managed settings" : "as a development channel";
  if (!isSwitchOn(auth, env)) {
    return warning(
      name,
      `${way}; Claude Code has not fetched the switch for channels`,
      `Start \`${call}\` once while online. \`synthesis doctor --live\` tells for certain.`,
    );
  }
  return ok(name, way);
}

/** Whether Claude Code remembers that its server lets channels in. */
function isSwitchOn(auth: AuthStatus | null, env: Env): boolean {
  const file = env.CLAUDE_CONFIG_DIR
    ? join(env.CLAUDE_CONFIG_DIR, ".claude.json")
    : join(env.HOME ?? auth?.configDirectory ?? "", ".claude.json");
  if (!existsSync(file)) return false;
  try {
    const { cachedGrowthBookFeatures } = cachedSwitch.parse(JSON.parse(readFileSync(file, "utf8")));
    return cachedGrowthBookFeatures.tengu_harbor === true;
  } catch {
    // Half written, or of another form: it does not say so.
    return false;
  }
}

function hooksCheck(config: Config): Check {
  if (!readManagedSettings(PLUGIN_NAME).hooksForbidden) return ok("hooks", "allowed");
  if (config.reply === "tool") return ok("hooks", "forbidden by managed settings; the reply tool does without");
  return failed("hooks", "forbidden by managed settings (allowManagedHooksOnly)", "Set SYNTHESIS_REPLY=tool.");
}

/** A settings file that claude cannot read: it asks about it, and no conversation starts. */
function settingsCheck(env: Env): Check {
  const name = "claude's settings";
  const file = join(env.CLAUDE_CONFIG_DIR || join(env.HOME || homedir(), ".claude"), "settings.json");
  if (!existsSync(file)) return ok(name, "its defaults");
  const content = readFileSync(file, "utf8");
  try {
    JSON.parse(content);
    return ok(name, file);
  } catch (error) {
    return failed(name, `${file} is not valid JSON: ${(error as Error).message}`, "Correct it, or move it away.");
  }
}

/** Settings of the user and of the workspaces that keep Claude Code from working with us. */
export function blockingSettingChecks({ workspace, agents }: Config, env: Env): Check[] {
  const name = "settings of workspaces";
  const workspaces = [workspace, ...Object.values(agents).map((agent) => agent.workspace)].map(realFolder);
  // The user's own file counts for each workspace.
  const found = new Map(
    workspaces
      .flatMap((folder) => findBlockingSettings(folder, env))
      .map((one) => [describeBlockingSetting(one), one] as const),
  );
  return found.size === 0 ? [ok(name, "nothing against synthesis")] : [...found.values()].map(blockingSettingCheck);
}

function blockingSettingCheck(setting: BlockingSetting): Check {
  const name = "settings of workspaces";
  const which = describeBlockingSetting(setting);
  switch (setting.blocks) {
    case "plugin":
      return failed(name, `${which} keeps the plugin of synthesis out`, "Remove it there.");
    case "channel":
      return warning(name, `${which} may switch channels off`, "Remove it there if messages get `channel_refused`.");
    case "tools":
      return warning(name, `${which} denies Claude the tools of chat programs`, "Remove it there to allow them.");
  }
}

function realFolder(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    // It is made with the first message.
    return resolve(folder);
  }
}

function permissionModeCheck({ permissionMode }: Config, env: Env): Check {
  const name = "permission mode";
  // claude's own rule; in a sandbox that says so it is let off.
  if (permissionMode !== "bypassPermissions" || process.getuid?.() !== 0 || env.IS_SANDBOX === "1") {
    return ok(name, permissionMode);
  }
  return failed(
    name,
    "claude refuses bypassPermissions to root",
    "Start synthesis as another user, or choose another SYNTHESIS_PERMISSION_MODE.",
  );
}
