/**
 * Programs that a claude started and that outlived it, and claudes that outlived their server. A claude
 * that is killed cannot end its shell commands, which run in groups of their own; but all of them carry
 * its token in their environment.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

/** One may start another while it is looked for; who does so more often than this is left to the next look. */
const LOOKS = 5;

/** Ends every process of ours whose environment has `marker` in it, except this one. */
export function endLeftovers(marker: string): void {
  for (let look = 0, found = findLeftovers(marker); look < LOOKS && found.length > 0; look += 1) {
    for (const pid of found) kill(pid);
    found = findLeftovers(marker);
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
export async function remainsEnd(runFolder: string, patienceMs: number): Promise<void> {
  const tokens = remains(runFolder).flatMap(({ token }) => token ?? []);
  const deadline = performance.now() + patienceMs;
  while (performance.now() < deadline && tokens.some((token) => findLeftovers(token).length > 0)) await Bun.sleep(100);
}

/**
 * Ends what a killed server has left running, and removes its claudes' folders. Only for the holder of
 * the state folder's lock.
 */
export function clearRemains(runFolder: string): void {
  for (const { folder, token } of remains(runFolder)) {
    if (token !== null) endLeftovers(token);
    rmSync(folder, { recursive: true, force: true });
  }
}

function remains(runFolder: string): { folder: string; token: string | null }[] {
  if (!existsSync(runFolder)) return [];
  return readdirSync(runFolder).map((name) => {
    const folder = join(runFolder, name);
    return { folder, token: tokenIn(join(folder, "settings.json")) };
  });
}

function tokenIn(settings: string): string | null {
  if (!existsSync(settings)) return null;
  return /"SYNTHESIS_BRIDGE_TOKEN":"([\w-]{20,})"/.exec(readFileSync(settings, "utf8"))?.[1] ?? null;
}

/** The process ids of all that run with `marker` in their environment, except this one. */
export function findLeftovers(marker: string): number[] {
  const pids = process.platform === "linux" ? fromProc(marker) : fromPs(marker);
  return pids.filter((pid) => pid !== process.pid);
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
    .flatMap((line) => /^\s*(\d+)\s/.exec(line)?.[1] ?? [])
    .map(Number);
}

/** Ends what is left of a program's process group: of a claude its plugin, and with a crash its MCP servers. */
export function endGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    // ESRCH: nobody was left. EPERM is macOS's word for a group of zombies.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ESRCH" && code !== "EPERM") throw error;
  }
}
