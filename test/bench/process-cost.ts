/** What a process costs the machine: CPU time, memory and system calls. Linux only, unless a function says otherwise. */
import { dlopen, FFIType } from "bun:ffi";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const isLinux = process.platform === "linux";
const libc = isLinux
  ? dlopen("libc.so.6", { clock_gettime: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 } })
  : null;

/**
 * The CPU time of all threads of a process so far, also of those that have ended, in ms; 0 where it is not known. The
 * file /proc/<pid>/stat has it too, but rounded to ten milliseconds, which is all that a server at rest needs in twenty
 * seconds.
 */
export function cpuMs(pid: number): number {
  const time = new BigInt64Array(2);
  // The number of another process's CPU clock, as clock_getcpuclockid(3) returns it.
  if (libc?.symbols.clock_gettime((~pid << 3) | 2, time) !== 0) return 0;
  return Number(time[0]) * 1_000 + Number(time[1]) / 1e6;
}

interface Memory {
  /** Resident, in MB. Pages that are shared with other processes count in full. */
  readonly rss: number;
  /** Resident, in MB. Shared pages count in part. NaN where the system does not say, as for the next one. */
  readonly pss: number;
  /** What the process itself has written, in MB: without the program's file, which the system can drop at any time. */
  readonly own: number;
}

/** The memory of a process. On every system. */
function memoryOf(pid: number): Memory {
  const file = `/proc/${pid}/smaps_rollup`;
  const rollup = existsSync(file) ? readFileSync(file, "utf8") : "";
  const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(rollup)?.[1]);
  const rss = Bun.spawnSync(["ps", "-o", "rss=", "-p", `${pid}`]).stdout.toString();
  return { rss: Number(rss) / 1024, pss: kilobytes("Pss") / 1024, own: kilobytes("Anonymous") / 1024 };
}

/** As "resident / proportional / own", in MB. */
export function memoryText(pid: number): string {
  const { rss, pss, own } = memoryOf(pid);
  return [rss, pss, own].map((one) => (Number.isNaN(one) ? "-" : one.toFixed(0))).join(" / ");
}

export interface SystemCalls {
  readonly total: number;
  /** How often each one was made, the most frequent first. */
  readonly byName: readonly (readonly [name: string, count: number])[];
}

/**
 * Counts the system calls that a process makes during `action`.
 * @returns null without strace (Debian's package `strace`), and where it must not watch other processes
 */
export async function systemCalls(pid: number, action: () => Promise<unknown>): Promise<SystemCalls | null> {
  if (!isLinux || Bun.which("strace") === null) return null;
  const folder = mkdtempSync(join(tmpdir(), "synthesis-bench-"));
  const report = join(folder, "calls");
  const strace = Bun.spawn(["strace", "-f", "-c", "-o", report, "-p", `${pid}`], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  try {
    // It says so when it has attached, or why it cannot.
    const { value } = await strace.stderr.getReader().read();
    if (!new TextDecoder().decode(value).includes("attached")) return null;
    await action();
    strace.kill("SIGINT");
    await strace.exited;
    return readReport(readFileSync(report, "utf8"));
  } finally {
    strace.kill("SIGINT");
    await strace.exited;
    rmSync(folder, { recursive: true });
  }
}

/** @param report strace's table: percentage, seconds, microseconds, calls, errors if there are any, name */
function readReport(report: string): SystemCalls {
  const byName = report.split("\n").flatMap((line) => {
    const [, count, name = ""] = /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?([a-z]\w*)$/.exec(line) ?? [];
    return count === undefined || name === "total" ? [] : [[name, Number(count)] as const];
  });
  byName.sort(([, one], [, other]) => other - one);
  return { total: byName.reduce((sum, [, count]) => sum + count, 0), byName };
}
