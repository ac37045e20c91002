/** The Claude Code program: where it is, which one it is, and whether it is logged in. */
import { accessSync, constants, existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";

/** The version the tests run, and what is likely to work as well. */
export const TESTED_VERSION = "2.1.330";
export const EXPECTED_VERSIONS = "~2.1.330";

/** Both questions are answered within a third of a second; a program that is not claude may never answer. */
const ANSWER_MS = 10_000;

type Env = Record<string, string | undefined>;

/**
 * The program's path: `bin` itself if it is a path, else where it is on PATH, else the one among this
 * project's own modules.
 * @returns null when there is none that can be run
 */
export function findClaude(bin: string, env: Env): string | null {
  if (bin.includes("/")) return isExecutable(resolve(bin)) ? resolve(bin) : null;
  const own = join(import.meta.dir, "../../node_modules/.bin", bin);
  return Bun.which(bin, { PATH: env.PATH ?? "" }) ?? (existsSync(own) ? own : null);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Not there, or not to be run: to the caller both are the same.
    return false;
  }
}

/** What `--version` says, such as `2.1.330`; null when it says nothing of the kind. */
export async function claudeVersion(path: string, env: Env): Promise<string | null> {
  const output = await run([path, "--version"], env);
  return /\d+\.\d+\.\d+/.exec(output)?.[0] ?? null;
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

/** What a program prints; empty when it cannot be run, or takes too long. */
async function run(argv: string[], env: Env): Promise<string> {
  try {
    const child = Bun.spawn(argv, { env, stdin: "ignore", stdout: "pipe", stderr: "ignore", timeout: ANSWER_MS });
    return await child.stdout.text();
  } catch {
    // Not there, or not a program.
    return "";
  }
}
