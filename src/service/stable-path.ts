/** Paths of programs that an update does not remove. Version managers and Homebrew keep programs in versioned folders. */
import { existsSync, readdirSync, realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";

type Env = Record<string, string | undefined>;

export interface StablePath {
  readonly path: string;
  /** What is wrong with the path, if no better one exists. */
  readonly warning?: string;
}

/** Folders that disappear, and what makes them. The first group is the part before the version, the second after it. */
const VERSIONED: readonly [owner: string, pattern: RegExp][] = [
  ["npx", /^(.*\/_npx)\/[^/]+(\/.*)$/],
  ["bunx", /^(\/tmp|.*\/T)\/bunx-[^/]+(\/.*)$/],
  ["a shell of fnm", /^(.*\/fnm_multishells)\/[^/]+(\/.*)$/],
  ["Homebrew", /^(.*)\/Cellar\/[^/]+\/[^/]+(\/.*)$/],
  ["nvm", /^(.*)\/versions\/(?:node|io\.js)\/[^/]+(\/.*)$/],
  ["fnm", /^(.*)\/node-versions\/[^/]+\/installation(\/.*)$/],
  ["mise", /^(.*\/mise\/installs\/[^/]+)\/[^/]+(\/.*)$/],
  ["asdf", /^(.*\/\.?asdf\/installs\/[^/]+)\/[^/]+(\/.*)$/],
  ["Volta", /^(.*\/tools\/image\/node)\/[^/]+(\/.*)$/],
  ["pnpm", /^(.*\/\.pnpm)\/[^/]+(\/.*)$/],
  ["Claude Code's installer", /^(.*\/claude\/versions)\/([^/]+)$/],
  ["Nix", /^(\/nix\/store)\/[^/]+(\/.*)$/],
];

/**
 * The path itself, or a link to the same program outside of a versioned folder.
 * @param path as it was found on PATH, with its links
 */
export function stablePath(path: string, env: Env): StablePath {
  const owner = versionedBy(path);
  if (!owner) return { path };
  const real = realPathOf(path);
  const better = candidates(path, real, env).find((one) => realPathOf(one) === real && existsSync(one));
  if (better) return { path: better };
  return {
    path,
    warning:
      `${path} belongs to ${owner}, which removes it when its version changes. The service then does not start until ` +
      "`synthesis service install` is run again. Install the program outside of it, for example below ~/.local/bin.",
  };
}

const versionedBy = (path: string): string | null => VERSIONED.find(([, pattern]) => pattern.test(path))?.[0] ?? null;

function candidates(path: string, real: string, env: Env): string[] {
  const links = [path, real].flatMap((one) => linksOf(one));
  const folders = [...(env.PATH ?? "").split(":"), join(env.HOME ?? "/", ".local/bin"), "/usr/local/bin"];
  const onPath = folders.filter((folder) => folder.startsWith("/")).map((folder) => join(folder, basename(path)));
  return [...links, ...onPath.filter((one) => !versionedBy(one))];
}

/** The links that Homebrew and version managers keep for the version in use. */
function linksOf(path: string): string[] {
  const [, prefix, formula, rest] = /^(.*)\/Cellar\/([^/]+)\/[^/]+(\/.*)$/.exec(path) ?? [];
  if (prefix !== undefined) return [`${prefix}/opt/${formula}${rest}`];
  const [, nvm, ofNvm] = /^(.*)\/versions\/node\/[^/]+(\/.*)$/.exec(path) ?? [];
  if (nvm !== undefined) return [`${nvm}/current${ofNvm}`];
  const [, fnm, ofFnm] = /^(.*)\/node-versions\/[^/]+\/installation(\/.*)$/.exec(path) ?? [];
  if (fnm !== undefined) return [`${fnm}/aliases/default${ofFnm}`];
  const [, shell, ofShell] = /^(.*\/fnm_multishells\/[^/]+)(\/.*)$/.exec(path) ?? [];
  // The link of a shell leads to the folder `installation` of a version.
  if (shell !== undefined) return [`${dirname(dirname(dirname(realPathOf(shell))))}/aliases/default${ofShell}`];
  const [, mise, ofMise] = /^(.*\/mise\/installs\/[^/]+)\/[^/]+(\/.*)$/.exec(path) ?? [];
  if (mise === undefined || !existsSync(mise)) return [];
  const names = readdirSync(mise, { withFileTypes: true }).filter((entry) => entry.isSymbolicLink());
  return ["latest", "lts", ...names.map(({ name }) => name).sort((a, b) => a.length - b.length)].map(
    (name) => `${mise}/${name}${ofMise}`,
  );
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // It does not exist, or may not be looked up.
    return path;
  }
}
