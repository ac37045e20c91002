/** The pinned OpenClaw and its Node. They take hundreds of megabytes, and most tests do not need them. */
import { join } from "node:path";
import { installPinned } from "./pinned-install.ts";

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

/** Installs the pinned OpenClaw, unless it is installed already. */
export const installOpenClaw = async (): Promise<OpenClawProgram> => openClawIn(await installPinned(pinned));
