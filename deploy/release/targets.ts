/** The systems for which there is a program, and the names of everything that is published. */
import { name, version } from "../../package.json";

export interface Target {
  /** The end of the package's name, such as `linux-x64-musl`. */
  readonly id: string;
  /** As Bun names it. x64 programs use the baseline runtime, because many virtual machines hide AVX2. */
  readonly bun: string;
  readonly os: "linux" | "darwin";
  readonly cpu: "x64" | "arm64";
  /** Absent where the system has only one. */
  readonly libc?: "glibc" | "musl";
}

export const TARGETS: readonly Target[] = [
  { id: "linux-x64", bun: "bun-linux-x64-baseline", os: "linux", cpu: "x64", libc: "glibc" },
  { id: "linux-arm64", bun: "bun-linux-arm64", os: "linux", cpu: "arm64", libc: "glibc" },
  { id: "linux-x64-musl", bun: "bun-linux-x64-baseline-musl", os: "linux", cpu: "x64", libc: "musl" },
  { id: "linux-arm64-musl", bun: "bun-linux-arm64-musl", os: "linux", cpu: "arm64", libc: "musl" },
  { id: "darwin-x64", bun: "bun-darwin-x64-baseline", os: "darwin", cpu: "x64" },
  { id: "darwin-arm64", bun: "bun-darwin-arm64", os: "darwin", cpu: "arm64" },
];

const scope = name.slice(0, name.indexOf("/"));

/** The npm package that holds the program for a target. */
export const packageOf = ({ id }: Pick<Target, "id">): string => `${scope}/cli-${id}`;

/** The npm package of the OpenClaw plugin. */
export const PLUGIN_PACKAGE = `${scope}/openclaw-plugin`;

/** The file name that `npm pack` gives to a package of this version. */
export const tarballOf = (packageName: string): string =>
  `${packageName.replace("@", "").replace("/", "-")}-${version}.tgz`;

/** The target of the machine on which this runs. */
export function thisTarget(): Target {
  const musl = process.platform === "linux" && Bun.spawnSync(["ldd", "--version"]).stderr.includes("musl");
  const target = TARGETS.find(
    ({ os, cpu, libc }) => os === process.platform && cpu === process.arch && (libc === "musl") === musl,
  );
  if (!target) throw new Error(`There is no target for ${process.platform} ${process.arch}. Name one with --target.`);
  return target;
}
