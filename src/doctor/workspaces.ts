/** Checks the folders in which conversations may work. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { checkPath } from "../config/path-problem.ts";
import type { Config } from "../config/schema.ts";
import { type Check, type Subject, subject } from "./check.ts";

/** The default workspace and the agents' workspaces need not exist: the server creates them. */
export function workspaceChecks({ workspace, allowedRoots, agents }: Config): Check[] {
  const defaultWorkspace = subject("workspace");
  return [
    unusable(defaultWorkspace, workspace, "SYNTHESIS_WORKSPACE") ??
      defaultWorkspace.ok(existsSync(workspace) ? workspace : `${workspace} (created at the first start)`),
    ...allowedRoots.filter((root) => root !== workspace).map(allowedRootCheck),
    ...Object.entries(agents).flatMap(([agent, { workspace: path }]) =>
      path === undefined ? [] : agentWorkspaceCheck(agent, resolve(path)),
    ),
  ];
}

function allowedRootCheck(path: string): Check {
  const root = subject("allowed_root", "allowed root");
  const problem = unusable(root, path, "SYNTHESIS_ALLOWED_ROOTS");
  if (problem) return problem;
  if (existsSync(path)) return root.ok(path);
  return root.warning("missing", `${path} does not exist`, "Create it, or remove it from SYNTHESIS_ALLOWED_ROOTS.");
}

function agentWorkspaceCheck(agent: string, path: string): Check {
  const workspace = subject("agent_workspace", `workspace of ${agent}`);
  return (
    unusable(workspace, path, "SYNTHESIS_AGENTS") ??
    workspace.ok(existsSync(path) ? path : `${path} (created at the first message)`)
  );
}

/** @param setting the one that names the folder */
function unusable(about: Subject, path: string, setting: string): Check | null {
  const problem = checkPath(path, "folder");
  if (!problem) return null;
  return about.failed("unusable", problem.what, `${problem.advice} Or choose another folder with ${setting}.`);
}
