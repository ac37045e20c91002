/** Installs any version of Claude Code into a cache folder, so that the project's own stays the pinned one. */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const NAME = "@anthropic-ai/claude-code";

/** Installs a version, unless it is in the cache already. @returns the path of its `claude` */
export async function installClaude(version: string): Promise<string> {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "synthesis-test");
  const folder = join(cache, `claude-code-${version}`);
  const claude = join(folder, "node_modules/.bin/claude");
  if (existsSync(folder)) return claude;

  mkdirSync(cache, { recursive: true });
  // A rename makes the folder visible when it is complete, so no other run finds half of it.
  const fresh = mkdtempSync(join(cache, "installing-"));
  try {
    writeFileSync(join(fresh, "package.json"), JSON.stringify({ private: true, dependencies: { [NAME]: version } }));
    await bun(["install", "--ignore-scripts"], fresh);
    if (!existsSync(folder)) renameSync(fresh, folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return claude;
}

/** The newest version that the registry has. */
export const newestVersion = async (): Promise<string> => (await bun(["pm", "view", NAME, "version"])).trim();

/** Runs the package manager. @returns what it prints */
async function bun(args: string[], cwd = process.cwd()): Promise<string> {
  const child = Bun.spawn([process.execPath, ...args], { cwd, stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  const output = await child.stdout.text();
  if ((await child.exited) !== 0) throw new Error(`bun ${args.join(" ")} failed:\n${output}`);
  return output;
}
