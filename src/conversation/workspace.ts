/** In which folder a conversation works, and whether the one who runs synthesis has agreed to it. */
import { existsSync, mkdirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative, sep } from "node:path";
import type { Config } from "../config/schema.ts";
import { ApiError } from "../openai/errors.ts";

export const WORKSPACE_HEADER = "x-openclaw-workspace";

export interface Workspace {
  /** A real path that exists. */
  readonly path: string;
  /** The configuration names this very folder. */
  readonly trusted: boolean;
}

/**
 * The workspace of a request; made if it is allowed and not there yet.
 * @param asked the folder the client named, if it did
 * @throws ApiError (400) when that is not below an allowed root
 */
export function workspaceFor(asked: string | undefined, config: Config): Workspace {
  const wanted = asked || config.workspace;
  if (!isAbsolute(wanted)) {
    throw new ApiError("workspace_not_allowed", "The workspace must be an absolute path.", WORKSPACE_HEADER);
  }
  // Decided on the real path, before anything is made: a link below an allowed root may lead out of it.
  const path = realPath(wanted);
  if (!asked) return { path: made(path, wanted), trusted: true };
  const roots = config.allowedRoots.map(realPath);
  if (!roots.some((root) => isWithin(path, root))) {
    throw new ApiError(
      "workspace_not_allowed",
      `The workspace ${asked} is not below an allowed root. Add it to SYNTHESIS_ALLOWED_ROOTS.`,
      WORKSPACE_HEADER,
    );
  }
  return { path: made(path, wanted), trusted: [realPath(config.workspace), ...roots].includes(path) };
}

/** The folder, made if it is not there. */
function made(path: string, wanted: string): string {
  if (!existsSync(path)) {
    try {
      mkdirSync(path, { recursive: true, mode: 0o700 });
    } catch (error) {
      const why = (error as NodeJS.ErrnoException).code;
      throw new ApiError("workspace_not_allowed", `The workspace ${wanted} cannot be made (${why}).`, WORKSPACE_HEADER);
    }
  } else if (!statSync(path).isDirectory()) {
    throw new ApiError("workspace_not_allowed", `The workspace ${wanted} is not a folder.`, WORKSPACE_HEADER);
  }
  return path;
}

/** The real path of the nearest ancestor that exists, and the rest as written. */
function realPath(path: string): string {
  if (existsSync(path)) return realpathSync(path);
  const parent = dirname(path);
  return parent === path ? path : join(realPath(parent), basename(path));
}

function isWithin(path: string, root: string): boolean {
  const way = relative(root, path);
  return way === "" || (!isAbsolute(way) && way !== ".." && !way.startsWith(`..${sep}`));
}
