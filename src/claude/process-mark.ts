/**
 * Finds and kills what a Claude Code process has started. When `claude` is killed, the shell commands that it started
 * keep running in process groups of their own. They all inherit the process mark, an environment variable by which
 * they are found. The mark is no secret and grants nothing.
 */
import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { absoluteEntries } from "../core/search-path.ts";

/** The variable that holds the mark. Its value is the name of the process's own folder, a uuid. */
export const MARK_VARIABLE = "SYNTHESIS_PROCESS_MARK";

/** The environment entry (`NAME=value`) of every process that belongs to this process folder. */
export const markOf = (folder: string): string => `${MARK_VARIABLE}=${basename(folder)}`;

/** A marked process can start another one during the search. After this many searches the rest is left alone. */
const MAX_SEARCHES = 5;

/** Kills every process whose environment contains `mark`, except this one. */
export function killMarked(mark: string): void {
  for (let search = 0, found = findMarked(mark); search < MAX_SEARCHES && found.length > 0; search += 1) {
    for (const pid of found) send(pid, "SIGKILL");
    found = findMarked(mark);
  }
}

/** Kills the rest of a process group: the plugin of a `claude` that exited, and after a crash its MCP servers. */
export const killGroup = (leader: number): void => signalGroup(leader, "SIGKILL");

/** Sends a signal to every process of a group. */
export const signalGroup = (leader: number, signal: "SIGTERM" | "SIGKILL"): void => send(-leader, signal);

function send(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // ESRCH: it has exited. EPERM: the id belongs to another user's process by now, or (macOS) to a group of zombies.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ESRCH" && code !== "EPERM") throw error;
  }
}

/** The ids of all processes whose environment contains exactly the entry `mark`, except this one. */
export function findMarked(mark: string): number[] {
  const pids = process.platform === "linux" ? findInProc(mark) : findWithPs(mark);
  return pids.filter((pid) => pid !== process.pid);
}

function findInProc(mark: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        // Each entry ends with a NUL. Without both NULs, the value of another variable could match.
        return `\0${readFileSync(`/proc/${pid}/environ`, "latin1")}`.includes(`\0${mark}\0`);
      } catch {
        // The process belongs to another user, or it has exited.
        return false;
      }
    });
}

/**
 * Without `/proc`, `ps` shows the environment of the user's own processes behind their command line, separated by
 * spaces. The arguments of a command could match as well.
 */
function findWithPs(mark: string): number[] {
  const env = { PATH: absoluteEntries(process.env.PATH) };
  const table = Bun.spawnSync(["ps", "-A", "-E", "-ww", "-o", "pid=,command="], { env }).stdout.toString();
  return table
    .split("\n")
    .filter((line) => `${line} `.includes(` ${mark} `))
    .flatMap((line) => /^\s*(\d+)\s/.exec(line)?.[1] ?? [])
    .map(Number);
}
