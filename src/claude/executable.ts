/** The Claude Code program: where it is, which one it is, and whether it is logged in. */
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { absoluteEntries } from "../config/paths.ts";
import { killGroup } from "./pool/orphans.ts";

/** The version the tests run, and what is likely to work as well. */
export const TESTED_VERSION = "2.1.330";
export const EXPECTED_VERSIONS = "~2.1.330";

/** Both questions are answered within a third of a second; a program that is not claude may never answer. */
const ANSWER_MS = 10_000;
/** In characters: far more than claude says of itself. */
const LONGEST_ANSWER = 65_536;

type Env = Record<string, string | undefined>;

/**
 * The program's path: `bin` itself if it is a path, else where it is on PATH, else the one among this
 * project's own modules.
 * @returns null when there is none that can be run
 */
export function findExecutable(bin: string, env: Env): string | null {
  if (bin.includes("/")) return isExecutable(resolve(bin)) ? resolve(bin) : null;
  const found = Bun.which(bin, { PATH: absoluteEntries(env.PATH) });
  // The binary has no modules; it would look beside the root folder.
  if (found || Bun.isStandaloneExecutable) return found;
  const own = join(import.meta.dir, "../../node_modules/.bin", bin);
  return existsSync(own) ? own : null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    // Not there, or not to be run: to the caller both are the same.
    return false;
  }
}

/** What `--version` says, such as `2.1.330` of `2.1.330 (Claude Code)`; null when it says nothing of the kind. */
export async function claudeVersion(path: string, env: Env): Promise<string | null> {
  const output = await run([path, "--version"], env);
  return /^(\d+\.\d+\.\d+)\S* \(Claude Code\)/m.exec(output)?.[1] ?? null;
}

const authStatus = z.looseObject({
  loggedIn: z.boolean(),
  authMethod: z.string().optional(),
  apiProvider: z.string().optional(),
  /** One of the switches is set that turn channels off, too. */
  analyticsDisabled: z.boolean().optional(),
  configDirectory: z.string().optional(),
});
export type AuthStatus = z.infer<typeof authStatus>;

/** What `claude auth status` says; null when it does not say. It does not check a key with the API. */
export async function claudeAuth(path: string, env: Env): Promise<AuthStatus | null> {
  const output = await run([path, "auth", "status", "--json"], env);
  try {
    return authStatus.parse(JSON.parse(output));
  } catch {
    // An older claude, or another program.
    return null;
  }
}

/** What a program prints, as far as it goes; empty when it cannot be run. It and what it started end in time. */
async function run(argv: string[], env: Env): Promise<string> {
  let child: Bun.Subprocess<"ignore", "pipe", "ignore">;
  try {
    // A group of its own: a wrapper's claude would outlive the wrapper, and hold the pipe open.
    child = Bun.spawn(argv, { env, stdin: "ignore", stdout: "pipe", stderr: "ignore", detached: true });
  } catch {
    // Not there, or not a program.
    return "";
  }
  const reader = child.stdout.getReader();
  const end = () => {
    killGroup(child.pid);
    // One that has left the group may still hold it.
    void reader.cancel();
  };
  const deadline = setTimeout(end, ANSWER_MS);
  try {
    const decoder = new TextDecoder();
    let printed = "";
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
      printed += decoder.decode(value, { stream: true });
      if (printed.length > LONGEST_ANSWER) end();
    }
    return printed;
  } finally {
    clearTimeout(deadline);
  }
}
