/** What runs below a process, and whether it still does. */
import { readdirSync } from "node:fs";

interface Row {
  readonly pid: number;
  readonly parent: number;
  readonly zombie: boolean;
  readonly command: string;
}

function table(): Row[] {
  const lines = Bun.spawnSync(["ps", "-A", "-ww", "-o", "pid=,ppid=,stat=,args="]).stdout.toString().split("\n");
  return lines.flatMap((line) => {
    const [, pid, parent, stat, command = ""] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s*(.*)$/.exec(line) ?? [];
    return pid ? [{ pid: Number(pid), parent: Number(parent), zombie: stat?.startsWith("Z") ?? false, command }] : [];
  });
}

/** The process ids of everything that runs below `pid`, at any depth. */
export function descendants(pid: number): number[] {
  const rows = table().filter(({ zombie }) => !zombie);
  const below = (parent: number): number[] =>
    rows.filter((row) => row.parent === parent).flatMap((row) => [row.pid, ...below(row.pid)]);
  return below(pid);
}

/** Those of `pids` whose command line matches. */
export function named(pids: readonly number[], command: RegExp): number[] {
  return table()
    .filter((row) => pids.includes(row.pid) && command.test(row.command))
    .map(({ pid }) => pid);
}

/** Waits until none of `pids` runs any more; the test's own time limit ends the wait. */
export async function gone(pids: readonly number[]): Promise<void> {
  while (table().some(({ pid, zombie }) => !zombie && pids.includes(pid))) await Bun.sleep(50);
}

/** How many files, sockets and pipes a process has open. */
export const descriptors = (pid: number): number =>
  process.platform === "linux"
    ? readdirSync(`/proc/${pid}/fd`).length
    : Bun.spawnSync(["lsof", "-p", `${pid}`])
        .stdout.toString()
        .split("\n").length;
