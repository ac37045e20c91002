/** Where the transcript of a Claude session is on the disk. */
import { existsSync, realpathSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { projectsFolder } from "../config-folder.ts";

type Env = Record<string, string | undefined>;

/**
 * The transcript of a session. Claude Code keeps it in the folder of the workspace in which the session began, so all
 * workspaces are searched.
 * @returns null when there is none; `claude --resume` would then fail
 */
export async function findTranscript(claudeSession: string, env: Env): Promise<string | null> {
  const projects = projectsFolder(env);
  if (!existsSync(projects)) return null;
  const files = new Bun.Glob(`*/${claudeSession}.jsonl`).scan({ cwd: projects, dot: true, absolute: true });
  for await (const file of files) return file;
  return null;
}

/** The folder beside a transcript in which Claude Code keeps the records of the session's sub-agents. */
export const sessionFolderOf = (transcript: string): string => transcript.replace(/\.jsonl$/, "");

/** Deletes the transcript of a session and the records of its sub-agents. */
export async function removeTranscript(claudeSession: string, env: Env): Promise<void> {
  const file = await findTranscript(claudeSession, env);
  if (!file) return;
  rmSync(file, { force: true });
  rmSync(sessionFolderOf(file), { recursive: true, force: true });
}

/**
 * Whether a path that a hook reports can be a transcript: `<projects>/<folder>/<session>.jsonl`.
 * @param projects Claude Code's projects folder
 */
export function isTranscriptPath(path: string, projects: string): boolean {
  const folder = dirname(path);
  if (!path.endsWith(".jsonl") || path !== join(folder, basename(path)) || path.includes("\0")) return false;
  return folder !== dirname(folder) && isSameFolder(dirname(folder), projects);
}

/** Claude Code may report the real path of a folder to which the environment names a link. */
function isSameFolder(one: string, other: string): boolean {
  try {
    return one === other || realpathSync(one) === realpathSync(other);
  } catch {
    // One of them does not exist.
    return false;
  }
}
