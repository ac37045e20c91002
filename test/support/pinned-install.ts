/**
 * Installs packages that are too large for development dependencies, once per machine, into a cache folder. A folder
 * with a package.json and a bun.lock pins them.
 */
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/**
 * Installs the versions in the lock file of `pinned`, unless they are installed already. No script of a package runs.
 * @returns the folder that has them in its `node_modules`
 */
export async function installPinned(pinned: string): Promise<string> {
  const lock = Bun.hash(await Bun.file(join(pinned, "bun.lock")).text()).toString(36);
  const { name } = (await Bun.file(join(pinned, "package.json")).json()) as { name: string };
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "synthesis-test");
  const installed = join(cache, `${name}-${lock}`);
  if (existsSync(installed)) return installed;

  mkdirSync(cache, { recursive: true });
  // A rename makes the folder visible when it is complete, so no other run finds half of it.
  const fresh = mkdtempSync(join(cache, "installing-"));
  try {
    for (const file of ["package.json", "bun.lock"]) copyFileSync(join(pinned, file), join(fresh, file));
    const install = Bun.spawn([process.execPath, "install", "--frozen-lockfile", "--ignore-scripts"], {
      cwd: fresh,
      stdout: "ignore",
      stderr: "inherit",
    });
    if ((await install.exited) !== 0) throw new Error(`the packages of ${pinned} could not be installed`);
    if (!existsSync(installed)) renameSync(fresh, installed);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return installed;
}
