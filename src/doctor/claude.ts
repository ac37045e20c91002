/** Checks Claude Code: the program, its version, its login, and whether it accepts our channel and hooks. */
import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { withheldKey } from "../claude/api-key.ts";
import type { Engines } from "../claude/engines.ts";
import { type AuthStatus, claudeAuth, claudeVersion, findExecutable } from "../claude/executable.ts";
import { isLoggedIn } from "../claude/login.ts";
import { compareWithTested, TESTED_RANGE, TESTED_VERSIONS } from "../claude/tested-versions.ts";
import type { Config } from "../config/schema.ts";
import { findProgram } from "../core/search-path.ts";
import { channelCheck } from "./channel.ts";
import { type Check, subject } from "./check.ts";
import { hooksCheck, permissionModeCheck, userSettingsCheck } from "./claude-settings.ts";
import { engineChecks } from "./engine.ts";

type Env = Record<string, string | undefined>;

const program = subject("claude");
const login = subject("login");

export interface ClaudeInspection {
  /** The configured Claude Code; null when there is none. */
  readonly program: { readonly path: string; readonly version: string } | null;
  /** What Claude Code says about its login; null when that is not known. */
  readonly auth: AuthStatus | null;
  /** The first check is about the program. When it has failed, there are no others. */
  readonly checks: Check[];
}

/** The checks of {@link inspectClaude} alone. */
export const claudeChecks = async (config: Config, env: Env, engines: Engines): Promise<Check[]> =>
  (await inspectClaude(config, env, engines)).checks;

/**
 * Finds the configured Claude Code and checks everything about it. It starts no conversation.
 * @param engines learns what Claude Code says about its login
 */
export async function inspectClaude(config: Config, env: Env, engines: Engines): Promise<ClaudeInspection> {
  const path = findExecutable(config.claudeBin, env);
  if (!path) return { program: null, auth: null, checks: [notExecutable(config.claudeBin)] };
  const version = await claudeVersion(path, env);
  if (!version) return { program: null, auth: null, checks: [notClaudeCode(path)] };
  // In a terminal Claude Code asks whether it may use a key, and synthesis answers no. An unapproved key is therefore
  // hidden from it here, too.
  const withheld = withheldKey(config.workspace, env, config.useApiKey);
  const auth = await claudeAuth(path, env, config.workspace, withheld);
  engines.noteLogin(auth);
  const configured = engines.configured();
  const command = findProgram("claude", env) === path ? "claude" : path;
  const checks = [
    versionCheck(path, version, command, config.engine),
    loginCheck(auth, withheld.ANTHROPIC_API_KEY !== undefined, command),
    ...engineChecks(configured),
    channelCheck(configured, auth, env, command),
    hooksCheck(config, configured),
    userSettingsCheck(env),
    permissionModeCheck(config, env),
  ];
  return { program: { path, version }, auth, checks };
}

const notClaudeCode = (path: string): Check =>
  program.failed(
    "not_claude_code",
    `${path} is not Claude Code, or does not answer`,
    "Set SYNTHESIS_CLAUDE_BIN to Claude Code.",
  );

function notExecutable(bin: string): Check {
  const path = resolve(bin);
  if (bin.includes("/") && existsSync(path)) {
    return statSync(path).isDirectory()
      ? program.failed(
          "is_folder",
          `${path} is a folder`,
          "Set SYNTHESIS_CLAUDE_BIN to the program in it, or to `claude`.",
        )
      : program.failed(
          "not_executable",
          `${path} may not be executed`,
          `If it is Claude Code, run \`chmod u+x ${path}\`.`,
        );
  }
  return program.failed(
    "not_found",
    bin.includes("/") ? `${bin} does not exist` : `no program ${bin} on PATH`,
    "Install Claude Code (npm install -g @anthropic-ai/claude-code), or set SYNTHESIS_CLAUDE_BIN to its path.",
  );
}

/** @param command what a person types to start this Claude Code */
function versionCheck(path: string, version: string, command: string, engine: Config["engine"]): Check {
  const found = `${path}, ${version}`;
  const standing = compareWithTested(version);
  if (standing === "tested") return program.ok(`${found} (tested: ${TESTED_RANGE})`);
  const range = `${found}, is ${standing} than the tested versions, ${TESTED_RANGE}`;
  if (standing === "older") {
    return program.warning("untested_version", range, `Update it: run \`${command} update\`.`);
  }
  const otherEngine = engine === "stream" ? "" : "If its channels have changed, set SYNTHESIS_ENGINE=stream. ";
  return program.warning(
    "untested_version",
    range,
    `It may work: run \`synthesis doctor --live\`. ${otherEngine}If something else fails, run ` +
      `\`npm install -g @anthropic-ai/claude-code@${TESTED_VERSIONS.newest}\`, and report what \`--live\` printed.`,
  );
}

/** @param command what a person types to start this Claude Code */
function loginCheck(auth: AuthStatus | null, keyRefused: boolean, command: string): Check {
  if (!auth) {
    return login.warning(
      "unknown",
      "Claude Code does not report it",
      `Run \`${command}\` in a terminal and check that it answers.`,
    );
  }
  if (auth.loggedIn && !isLoggedIn(auth, Date.now())) {
    return login.failed(
      "expired",
      `expired on ${auth.loginExpiresAt}`,
      `Run \`${command}\` in a terminal and use /login.`,
    );
  }
  if (auth.loggedIn) return login.ok(`with ${auth.authMethod ?? "an unknown method"}`);
  if (keyRefused) {
    return login.failed(
      "key_not_approved",
      "not logged in, and the ANTHROPIC_API_KEY in the environment or in Claude Code's settings is not approved",
      `Set SYNTHESIS_USE_API_KEY=true to use the key, or run \`${command}\` in a terminal and use /login.`,
    );
  }
  return login.failed("missing", "not logged in", `Run \`${command}\` in a terminal and use /login.`);
}
