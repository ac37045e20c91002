/** The processes that a process started, and whether they still run. */
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

/** The process ids of all descendants of `pid`. */
export function descendants(pid: number): number[] {
  const rows = table().filter(({ zombie }) => !zombie);
  const below = (parent: number): number[] =>
    rows.filter((row) => row.parent === parent).flatMap((row) => [row.pid, ...below(row.pid)]);
  return below(pid);
}

/** The ones among `pids` that have a matching command line. */
export function withCommand(pids: readonly number[], command: RegExp): number[] {
  return table()
    .filter((row) => pids.includes(row.pid) && command.test(row.command))
    .map(({ pid }) => pid);
}

/** The claude processes of a server. */
export const claudesOf = (server: number): number[] => withCommand(descendants(server), /bin\/claude\b/);

/** The plugin processes of a server's claudes. */
export const pluginsOf = (server: number): number[] => withCommand(descendants(server), / channel$/);

/** Waits until all of `pids` have exited. The test's timeout ends the wait. */
export async function waitForExit(pids: readonly number[]): Promise<void> {
  while (table().some(({ pid, zombie }) => !zombie && pids.includes(pid))) await Bun.sleep(50);
}

/** The number of files, sockets and pipes that a process has open. */
export const descriptors = (pid: number): number =>
  process.platform === "linux"
    ? readdirSync(`/proc/${pid}/fd`).length
    : Bun.spawnSync(["lsof", "-p", `${pid}`])
        .stdout.toString()
        .split("\n").length;
