/**
 * Finds and kills what a Claude Code process has started. When `claude` is killed, the shell commands that it started
 * keep running in process groups of their own. They all inherit the process mark, an environment variable by which
 * they are found. The mark is no secret and grants nothing.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename } from "node:path";
import { absoluteEntries } from "../core/search-path.ts";

/** The variable that holds the mark. Its value is the name of the process's own folder, a uuid. */
export const MARK_VARIABLE = "SYNTHESIS_PROCESS_MARK";

/** The environment entry (`NAME=value`) of every process that belongs to this process folder. */
export const markOf = (folder: string): string => `${MARK_VARIABLE}=${basename(folder)}`;

/** A marked process can start another one during the search. After this many that found more the rest is left alone. */
const MAX_SEARCHES = 5;
/** How long processes that are being started may take until they show their environment, in ms. It is usually less than 1. */
const EXEC_MS = 200;

/** Kills every process whose environment contains `mark`, except this one. */
export function killMarked(mark: string): void {
  const killed = new Set<number>();
  const deadline = performance.now() + EXEC_MS;
  for (let searches = 0; searches < MAX_SEARCHES; ) {
    const { marked, isIncomplete } = searchMarked(mark);
    // A process that was killed shows its environment until the system has removed it.
    const found = marked.filter((pid) => !killed.has(pid));
    for (const pid of found) {
      send(pid, "SIGKILL");
      killed.add(pid);
    }
    if (found.length > 0) searches += 1;
    else if (!isIncomplete || performance.now() > deadline) return;
    // Nothing else may run meanwhile: the caller releases next what belongs to the processes.
    else Bun.sleepSync(1);
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
export const findMarked = (mark: string): readonly number[] => searchMarked(mark).marked;

interface Search {
  readonly marked: readonly number[];
  /** A process was just being started, and did not show its environment yet. */
  readonly isIncomplete: boolean;
}

function searchMarked(mark: string): Search {
  const { marked, isIncomplete } =
    process.platform === "linux" ? searchProc(mark) : { marked: findWithPs(mark), isIncomplete: false };
  return { marked: marked.filter((pid) => pid !== process.pid), isIncomplete };
}

function searchProc(mark: string): Search {
  const marked: number[] = [];
  let isIncomplete = false;
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const environment = environmentOf(pid);
      // Each entry ends with a NUL. Without both NULs, the value of another variable could match.
      if (`\0${environment}`.includes(`\0${mark}\0`)) marked.push(Number(pid));
      else if (environment === null) isIncomplete = true;
    } catch {
      // The process belongs to another user, or it has exited.
    }
  }
  return { marked, isIncomplete };
}

/** The environment of a process; null in the middle of `exec`, when it has none yet. @throws when there is no process */
function environmentOf(pid: string): string | null {
  const read = () => readFileSync(`/proc/${pid}/environ`, "latin1");
  const environment = read();
  if (environment !== "") return environment;
  // A thread of the kernel has no program, and throws here.
  readlinkSync(`/proc/${pid}/exe`);
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)?.split(" ") ?? [];
  // It may have got its environment meanwhile.
  return fields[ENV_END] === "0" ? null : read();
}

/** Where `/proc/<pid>/stat` has `env_end`, its 51st field: the first two come before the bracket. */
const ENV_END = 48;

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
