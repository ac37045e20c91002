/**
 * Programs that a claude started and that outlived it, and claudes that outlived their server. A claude
 * that is killed cannot end its shell commands, which run in groups of their own; but all of them carry
 * its mark in their environment.
 */
import { readdirSync, readFileSync } from "node:fs";
import { absoluteEntries } from "../../config/paths.ts";
import { markedFolders, markOf, removeMarkedFolder } from "./process-mark.ts";

/** One may start another while it is looked for; who does so more often than this is left to the next look. */
const LOOKS = 5;

/** Ends every process of ours whose environment has `entry` (`NAME=value`), except this one. */
export function killMarked(entry: string): void {
  for (let look = 0, found = findOrphans(entry); look < LOOKS && found.length > 0; look += 1) {
    for (const pid of found) kill(pid);
    found = findOrphans(entry);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    // ESRCH: gone in the meantime. EPERM: it has become another user's.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ESRCH" && code !== "EPERM") throw error;
  }
}

/**
 * Waits until what a killed server has left running has ended by itself, as a claude does when its
 * terminal is gone, for at most `patienceMs`.
 */
export async function waitForOrphans(runFolder: string, patienceMs: number): Promise<void> {
  const marks = markedFolders(runFolder).map(markOf);
  const deadline = performance.now() + patienceMs;
  while (performance.now() < deadline && marks.some((mark) => findOrphans(mark).length > 0)) await Bun.sleep(100);
}

/**
 * Ends what a killed server has left running, and removes its claudes' folders. Only for the holder of
 * the state folder's lock.
 */
export function killOrphans(runFolder: string): void {
  for (const folder of markedFolders(runFolder)) {
    killMarked(markOf(folder));
    removeMarkedFolder(folder);
  }
}

/** The ids of all processes that have exactly `entry` (`NAME=value`) in their environment, except this one. */
export function findOrphans(entry: string): number[] {
  const pids = process.platform === "linux" ? fromProc(entry) : fromPs(entry);
  return pids.filter((pid) => pid !== process.pid);
}

function fromProc(entry: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        // Each entry ends with a NUL; without both ends another variable's value could look like it.
        return `\0${readFileSync(`/proc/${pid}/environ`, "latin1")}`.includes(`\0${entry}\0`);
      } catch {
        // Another user's, or gone in the meantime.
        return false;
      }
    });
}

/**
 * Elsewhere `ps` shows the environment of one's own processes behind the command, with spaces between: there the
 * arguments of a command could look like the entry, too.
 */
function fromPs(entry: string): number[] {
  const env = { PATH: absoluteEntries(process.env.PATH) };
  const table = Bun.spawnSync(["ps", "-A", "-E", "-ww", "-o", "pid=,command="], { env }).stdout.toString();
  return table
    .split("\n")
    .filter((line) => `${line} `.includes(` ${entry} `))
    .flatMap((line) => /^\s*(\d+)\s/.exec(line)?.[1] ?? [])
    .map(Number);
}

/** Ends what is left of a program's process group: of a claude its plugin, and with a crash its MCP servers. */
export function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    // ESRCH: nobody was left. EPERM is macOS's word for a group of zombies.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ESRCH" && code !== "EPERM") throw error;
  }
}
