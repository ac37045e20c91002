/** In which folder a conversation works, and whether the one who runs synthesis has agreed to it. */
import { mkdirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { openClawHeader } from "../api/openclaw/headers.ts";
import type { Config } from "../config/schema.ts";
import { RequestError } from "../core/errors.ts";

const WORKSPACE_HEADER = "x-openclaw-workspace";

export interface Workspace {
  /** A real path that exists. */
  readonly path: string;
  /** The configuration names this very folder. */
  readonly trusted: boolean;
}

/**
 * The workspace of a request; made if it is allowed and not there yet. Its header decides, then the folder
 * OpenClaw says it works in, then the agent's own, then the one of all.
 * @param guessed the folder that a system prompt names, if it does: not allowed, it is passed over
 * @throws ApiError (400) when the header names one that is not below an allowed root
 */
export function workspaceFor(
  headers: Headers,
  guessed: string | null,
  agent: string | null,
  config: Config,
): Workspace {
  const wanted = openClawHeader(headers, WORKSPACE_HEADER);
  if (wanted) {
    if (!isAbsolute(wanted)) {
      throw new RequestError("workspace_not_allowed", "The workspace must be an absolute path.", {
        param: WORKSPACE_HEADER,
      });
    }
    const workspace = allowedWorkspace(wanted, config);
    if (workspace) return made(workspace, wanted);
    throw new RequestError(
      "workspace_not_allowed",
      `The workspace ${wanted.replaceAll("\0", "\\0")} is not below an allowed root. Add it to SYNTHESIS_ALLOWED_ROOTS.`,
      { param: WORKSPACE_HEADER },
    );
  }
  const guess = guessed !== null && isAbsolute(guessed) ? allowedWorkspace(guessed, config) : null;
  if (guess) return made(guess, guess.path);
  const chosen = (agent !== null && config.agents[agent]?.workspace) || config.workspace;
  return made({ path: realPath(chosen), trusted: true }, chosen);
}

/** The folder as a workspace; null when the configuration has nothing to say for it. */
export function allowedWorkspace(folder: string, config: Config): Workspace | null {
  // No path has a NUL in it; the file system functions throw for one.
  if (folder.includes("\0")) return null;
  const roots = config.allowedRoots.map(realPath);
  const own = Object.values(config.agents).map(({ workspace }) => realPath(workspace));
  // Decided on the real path, before anything is made: a link below an allowed root may lead out of it.
  // What leads up again is taken out first: behind a name that is not there a link would not be seen.
  const path = realPath(resolve(folder));
  const named = [realPath(config.workspace), ...own].includes(path);
  if (!named && !roots.some((root) => isWithin(path, root))) return null;
  return { path, trusted: named || roots.includes(path) };
}

/** The folder, made if it is not there. */
function made(workspace: Workspace, wanted: string): Workspace {
  const { path } = workspace;
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found?.isDirectory()) return workspace;
    if (!found) {
      mkdirSync(path, { recursive: true, mode: 0o700 });
      return workspace;
    }
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code;
    throw new RequestError(
      "workspace_not_allowed",
      `The workspace ${wanted} cannot be made (${why}). Make it yourself, or name another.`,
      { param: WORKSPACE_HEADER },
    );
  }
  throw new RequestError("workspace_not_allowed", `The workspace ${wanted} is not a folder. Name one that is.`, {
    param: WORKSPACE_HEADER,
  });
}

/** The real path of the nearest ancestor that exists, and the rest as written. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    // Through a file, a loop or a closed folder, or too long: nothing is there for us; who makes it will hear why not.
    if (!/^(ENOENT|ENOTDIR|ENAMETOOLONG|EACCES|ELOOP)$/.test((error as NodeJS.ErrnoException).code ?? "")) throw error;
    const parent = dirname(path);
    return parent === path ? path : join(realPath(parent), basename(path));
  }
}

function isWithin(path: string, root: string): boolean {
  const way = relative(root, path);
  return way === "" || (!isAbsolute(way) && way !== ".." && !way.startsWith(`..${sep}`));
}
