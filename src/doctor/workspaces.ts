/** Checks the folders in which conversations may work. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { checkPath } from "../config/path-problem.ts";
import type { Config } from "../config/schema.ts";
import { type Check, subject } from "./check.ts";

/** The default workspace and the agents' workspaces need not exist: the server creates them. */
export function workspaceChecks({ workspace, allowedRoots, agents }: Config): Check[] {
  return [
    folderCheck("workspace", "workspace", workspace, "SYNTHESIS_WORKSPACE", "created at the first start"),
    ...allowedRoots.filter((root) => root !== workspace).map(allowedRootCheck),
    ...Object.entries(agents).map(([agent, { workspace: path }]) =>
      folderCheck(
        "agent_workspace",
        `workspace of ${agent}`,
        resolve(path),
        "SYNTHESIS_AGENTS",
        "created at the first message",
      ),
    ),
  ];
}

/** @param whenMissing what happens to a folder that does not exist yet */
function folderCheck(id: string, name: string, path: string, setting: string, whenMissing: string): Check {
  const problem = checkPath(path, "folder");
  if (problem) return unusable(id, name, problem.what, problem.advice, setting);
  return subject(id, name).ok(existsSync(path) ? path : `${path} (${whenMissing})`);
}

function allowedRootCheck(path: string): Check {
  const allowedRoot = subject("allowed_root", "allowed root");
  const problem = checkPath(path, "folder");
  if (problem) {
    return unusable("allowed_root", "allowed root", problem.what, problem.advice, "SYNTHESIS_ALLOWED_ROOTS");
  }
  if (existsSync(path)) return allowedRoot.ok(path);
  return allowedRoot.warning(
    "missing",
    `${path} does not exist`,
    "Create it, or remove it from SYNTHESIS_ALLOWED_ROOTS.",
  );
}

const unusable = (id: string, name: string, what: string, advice: string, setting: string): Check =>
  subject(id, name).failed("unusable", what, `${advice} Or choose another folder with ${setting}.`);
