/** Measures how much memory processes take, including everything they have started. */
import { readFile } from "node:fs/promises";
import { absoluteEntries } from "../../core/search-path.ts";

interface Row {
  readonly pid: number;
  readonly parent: number;
  /** Resident memory in bytes. Memory that is shared with other processes counts in full. */
  readonly resident: number;
}

/**
 * The memory in bytes of each process in `roots` and of all its descendants, by process id. Processes that have exited
 * are left out. The result is empty when the system has no `ps`.
 */
export async function measureTrees(roots: readonly number[]): Promise<ReadonlyMap<number, number>> {
  const rows = await processTable();
  const children = Map.groupBy(rows, ({ parent }) => parent);
  const measure = async (row: Row): Promise<number> => {
    const descendants = await Promise.all((children.get(row.pid) ?? []).map(measure));
    return descendants.reduce((sum, bytes) => sum + bytes, (await proportional(row.pid)) ?? row.resident);
  };
  const found = rows.filter(({ pid }) => roots.includes(pid));
  return new Map(await Promise.all(found.map(async (row) => [row.pid, await measure(row)] as const)));
}

async function processTable(): Promise<readonly Row[]> {
  let printed: string;
  try {
    printed = await Bun.spawn(["ps", "-A", "-o", "pid=,ppid=,rss="], {
      env: { PATH: absoluteEntries(process.env.PATH) },
      stdin: "ignore",
      stderr: "ignore",
    }).stdout.text();
  } catch (error) {
    // A minimal container may have no `ps`.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return printed.split("\n").flatMap((line) => {
    const [pid, parent, kilobytes] = line.trim().split(/\s+/).map(Number);
    return pid && parent !== undefined && kilobytes !== undefined ? [{ pid, parent, resident: kilobytes * 1024 }] : [];
  });
}

/**
 * On Linux the memory that a process does not share, and its part of what it shares, in bytes. All agent processes share
 * Claude Code's program. Null on other systems.
 */
async function proportional(pid: number): Promise<number | null> {
  if (process.platform !== "linux") return null;
  try {
    const rollup = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
    const kilobytes = /^Pss:\s+(\d+) kB/m.exec(rollup)?.[1];
    return kilobytes === undefined ? null : Number(kilobytes) * 1024;
  } catch {
    // The process has exited, or belongs to another user.
    return null;
  }
}
