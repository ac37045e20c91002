/**
 * Programs that a claude started and that outlived it. A claude that is killed cannot end its shell
 * commands, which run in groups of their own; but all of them carry its token in their environment.
 */
import { readdirSync, readFileSync } from "node:fs";

/** Ends every process of ours whose environment has `marker` in it, except this one. How many there were. */
export function endLeftovers(marker: string): number {
  const pids = process.platform === "linux" ? fromProc(marker) : fromPs(marker);
  let ended = 0;
  for (const pid of pids) {
    if (pid === process.pid) continue;
    try {
      process.kill(pid, "SIGKILL");
      ended += 1;
    } catch (error) {
      // Gone in the meantime.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
  return ended;
}

function fromProc(marker: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "utf8").includes(marker);
      } catch {
        // Another user's, or gone in the meantime.
        return false;
      }
    });
}

/** Elsewhere `ps` shows the environment of one's own processes. */
function fromPs(marker: string): number[] {
  const table = Bun.spawnSync(["ps", "-A", "-E", "-ww", "-o", "pid=,command="]).stdout.toString();
  return table
    .split("\n")
    .filter((line) => line.includes(marker))
    .map((line) => Number.parseInt(line, 10));
}
