/** The folder in which a conversation works, and whether the configuration allows it. */
import { mkdirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { openClawHeader } from "../api/openclaw/headers.ts";
import { agentWorkspaces, workspaceOf } from "../config/agent-settings.ts";
import type { Config } from "../config/schema.ts";
import { RequestError } from "../core/errors.ts";

const WORKSPACE_HEADER = "x-openclaw-workspace";

export interface Workspace {
  /** A real path that exists. */
  readonly path: string;
  /** The configuration names this folder itself, and not only a folder above it. */
  readonly trusted: boolean;
}

/**
 * The workspace of a request. Created if it is allowed and does not exist. In order of precedence it is the folder in
 * the request's header, the one that the system prompt names, the agent's configured one, and the default one.
 * @param guessed the folder that the system prompt names; ignored when it is not allowed
 * @throws RequestError (`workspace_not_allowed`) when the header names a folder that is not allowed
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
    if (workspace) return created(workspace, wanted);
    throw new RequestError(
      "workspace_not_allowed",
      `The workspace ${wanted.replaceAll("\0", "\\0")} is not below an allowed root. Add it to SYNTHESIS_ALLOWED_ROOTS.`,
      { param: WORKSPACE_HEADER },
    );
  }
  const guess = guessed !== null && isAbsolute(guessed) ? allowedWorkspace(guessed, config) : null;
  if (guess) return created(guess, guess.path);
  const chosen = workspaceOf(agent, config);
  return created({ path: realPath(chosen), trusted: true }, chosen);
}

/** The folder as a workspace; null when the configuration does not allow it. */
export function allowedWorkspace(folder: string, config: Config): Workspace | null {
  // The file system functions throw for a NUL, and no path contains one.
  if (folder.includes("\0")) return null;
  const roots = config.allowedRoots.map(realPath);
  const named = [config.workspace, ...agentWorkspaces(config)].map(realPath);
  // The check uses the real path, because a link below an allowed root may lead out of it. It comes before anything is
  // created. `..` is resolved first: behind a folder that does not exist, a link would not be noticed.
  const path = realPath(resolve(folder));
  const isNamed = named.includes(path);
  if (!isNamed && !roots.some((root) => isWithin(path, root))) return null;
  return { path, trusted: isNamed || roots.includes(path) };
}

/** Creates the folder if it does not exist. @param shownPath the path as errors show it */
function created(workspace: Workspace, shownPath: string): Workspace {
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
      `The workspace ${shownPath} cannot be created (${why}). Create it yourself, or choose another folder.`,
      { param: WORKSPACE_HEADER },
    );
  }
  throw new RequestError("workspace_not_allowed", `The workspace ${shownPath} is not a folder. Choose a folder.`, {
    param: WORKSPACE_HEADER,
  });
}

/** The path with the real path of its nearest ancestor that exists. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    // A path through a file, a loop or a closed folder, or one that is too long, does not exist for us. An attempt to
    // create the folder reports the reason.
    if (!/^(ENOENT|ENOTDIR|ENAMETOOLONG|EACCES|ELOOP)$/.test((error as NodeJS.ErrnoException).code ?? "")) throw error;
    const parent = dirname(path);
    return parent === path ? path : join(realPath(parent), basename(path));
  }
}

function isWithin(path: string, root: string): boolean {
  const fromRoot = relative(root, path);
  return fromRoot === "" || (!isAbsolute(fromRoot) && fromRoot !== ".." && !fromRoot.startsWith(`..${sep}`));
}
