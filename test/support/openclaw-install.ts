/**
 * Installs the pinned OpenClaw and its Node once per machine into a cache folder. They take hundreds of megabytes: too
 * much for a development dependency that most tests do not need.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const pinned = join(import.meta.dir, "../openclaw-gateway/pinned");

export interface OpenClawProgram {
  /** The folder of the installation. */
  readonly folder: string;
  readonly node: string;
  /** The script that this Node runs. */
  readonly script: string;
}

/** The paths of the programs in `folder`. They need not exist. */
export function openClawIn(folder: string): OpenClawProgram {
  // The npm package of Node has another name on this platform.
  const prefix = process.platform === "darwin" && process.arch === "arm64" ? "node-bin" : "node";
  return {
    folder,
    node: join(folder, "node_modules", `${prefix}-${process.platform}-${process.arch}`, "bin/node"),
    script: join(folder, "node_modules/openclaw/openclaw.mjs"),
  };
}

/** Installs the versions in the lock file, unless they are installed already. */
export async function installOpenClaw(): Promise<OpenClawProgram> {
  const lock = Bun.hash(await Bun.file(join(pinned, "bun.lock")).text()).toString(36);
  const { name } = (await Bun.file(join(pinned, "package.json")).json()) as { name: string };
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "synthesis-test");
  const program = openClawIn(join(cache, `${name}-${lock}`));
  if (existsSync(program.folder)) return program;

  mkdirSync(cache, { recursive: true });
  // A rename makes the folder visible when it is complete, so no other run finds half of it.
  const fresh = mkdtempSync(join(cache, "installing-"));
  try {
    cpSync(pinned, fresh, { recursive: true });
    const install = Bun.spawn([process.execPath, "install", "--frozen-lockfile", "--ignore-scripts"], {
      cwd: fresh,
      stdout: "ignore",
      stderr: "inherit",
    });
    if ((await install.exited) !== 0) throw new Error("OpenClaw could not be installed");
    if (!existsSync(program.folder)) renameSync(fresh, program.folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return program;
}
