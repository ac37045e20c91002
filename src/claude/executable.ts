/** The Claude Code program: where it is, which version it is, and whether a user is logged in. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Config } from "../config/schema.ts";
import { findProgram } from "../core/search-path.ts";
import { killGroup } from "./process-mark.ts";
import { claudeNotFound } from "./start-errors.ts";

/** Claude Code answers both questions below within a third of a second. Another program may never answer. */
const ANSWER_MS = 10_000;
/** In characters. Claude Code's own answers are far shorter. */
const MAX_ANSWER_LENGTH = 65_536;

type Env = Record<string, string | undefined>;

/**
 * The program's path: `bin` itself if it is a path, otherwise the program on PATH, otherwise the one in this
 * project's `node_modules`.
 * @returns null when there is no such executable
 */
export function findExecutable(bin: string, env: Env): string | null {
  const found = findProgram(bin, env);
  // The compiled binary has no `node_modules`: the path would lead to a folder beside `/`.
  if (found || bin.includes("/") || Bun.isStandaloneExecutable) return found;
  const own = join(import.meta.dir, "../../node_modules/.bin", bin);
  return existsSync(own) ? own : null;
}

/**
 * The path of the configured program.
 * @throws RequestError (`claude_not_found`) when there is no such executable
 */
export function requireExecutable({ claudeBin }: Pick<Config, "claudeBin">, env: Env): string {
  const path = findExecutable(claudeBin, env);
  if (!path) throw claudeNotFound(claudeBin);
  return path;
}

/** Identifies a program. It changes when the program is replaced, for example by an update. */
export function programId(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false });
  return [path, stats?.size, stats?.mtimeMs, stats?.ino].join(" ");
}

/**
 * The version in the output of `--version`, such as `2.1.332` of `2.1.332 (Claude Code)`; null for another program.
 * @param signal ends the program at once
 */
export async function claudeVersion(path: string, env: Env, signal?: AbortSignal): Promise<string | null> {
  const output = await run([path, "--version"], env, signal);
  return /^(\d+\.\d+\.\d+)\S* \(Claude Code\)/m.exec(output)?.[1] ?? null;
}

const authStatus = z.looseObject({
  loggedIn: z.boolean(),
  authMethod: z.string().optional(),
  /** Where the API key comes from that Claude Code uses, such as `ANTHROPIC_API_KEY`; absent when it uses none. */
  apiKeySource: z.string().optional(),
  apiProvider: z.string().optional(),
  /** True when a variable is set that also turns channels off. */
  analyticsDisabled: z.boolean().optional(),
  configDirectory: z.string().optional(),
  /** When a claude.ai login ends for good, as an ISO date; null when Claude Code does not know. */
  loginExpiresAt: z.string().nullish(),
});
export type AuthStatus = z.infer<typeof authStatus>;

/**
 * The answer of `claude auth status`. It reads what is stored and asks no server: a key or a token is not checked.
 * @param folder where it is asked: the folder's settings count, if it exists
 * @param withheld variables that must win over those of settings files
 * @param signal ends the program at once
 * @returns null when an older Claude Code, or another program, gives no such answer
 */
export async function claudeAuth(
  path: string,
  env: Env,
  folder: string,
  withheld: Record<string, string> = {},
  signal?: AbortSignal,
): Promise<AuthStatus | null> {
  const settings = JSON.stringify({ env: withheld });
  const argv = [path, "--settings", settings, "auth", "status", "--json"];
  const output = await run(argv, { ...env, ...withheld }, signal, existsSync(folder) ? { cwd: folder } : {});
  try {
    return authStatus.parse(JSON.parse(output));
  } catch {
    return null;
  }
}

/** What a program prints before it exits or `ANSWER_MS` is over; empty when it cannot be started. */
async function run(argv: string[], env: Env, signal?: AbortSignal, options: { cwd?: string } = {}): Promise<string> {
  if (signal?.aborted) return "";
  let child: Bun.Subprocess<"ignore", "pipe", "ignore">;
  try {
    // In its own process group: if `path` is a wrapper script, its child would outlive it and keep the pipe open.
    child = Bun.spawn(argv, { ...options, env, stdin: "ignore", stdout: "pipe", stderr: "ignore", detached: true });
  } catch {
    // The file is missing, or it is not a program.
    return "";
  }
  const reader = child.stdout.getReader();
  const end = () => {
    killGroup(child.pid);
    // A process that has left the group may still hold the pipe open.
    void reader.cancel();
  };
  const deadline = setTimeout(end, ANSWER_MS);
  signal?.addEventListener("abort", end);
  try {
    const decoder = new TextDecoder();
    let printed = "";
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
      printed += decoder.decode(value, { stream: true });
      if (printed.length > MAX_ANSWER_LENGTH) end();
    }
    return printed;
  } finally {
    clearTimeout(deadline);
    signal?.removeEventListener("abort", end);
  }
}
