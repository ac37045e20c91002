/**
 * The pinned OpenClaw and the Node it needs, installed once per machine into a cache folder. Hundreds of
 * megabytes: too much for a development dependency that most tests do without.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const pinned = join(import.meta.dir, "../openclaw-gateway/pinned");

export interface OpenClawProgram {
  /** Where it was installed. */
  readonly folder: string;
  readonly node: string;
  /** Its entry, to be run with that Node. */
  readonly script: string;
}

/** The programs in `folder`, whether they are there or not. */
export function openClawIn(folder: string): OpenClawProgram {
  // The one package that npm names in another way.
  const prefix = process.platform === "darwin" && process.arch === "arm64" ? "node-bin" : "node";
  return {
    folder,
    node: join(folder, "node_modules", `${prefix}-${process.platform}-${process.arch}`, "bin/node"),
    script: join(folder, "node_modules/openclaw/openclaw.mjs"),
  };
}

/** Installs what the lock file beside the tests names, unless that has been done before. */
export async function installOpenClaw(): Promise<OpenClawProgram> {
  const lock = Bun.hash(await Bun.file(join(pinned, "bun.lock")).text()).toString(36);
  const { name } = (await Bun.file(join(pinned, "package.json")).json()) as { name: string };
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "synthesis-test");
  const program = openClawIn(join(cache, `${name}-${lock}`));
  if (existsSync(program.folder)) return program;

  mkdirSync(cache, { recursive: true });
  // In a folder of its own until it is complete, so that nobody ever finds half of it.
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
