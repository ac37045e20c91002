/** What runs below a process, and whether it still does. Linux's /proc; macOS asks `ps`. */

/** The process ids of everything below `pid`, at any depth. */
export function descendants(pid: number): number[] {
  const table = Bun.spawnSync(["ps", "-A", "-o", "pid=,ppid="]).stdout.toString().trim().split("\n");
  const children = new Map<number, number[]>();
  for (const line of table) {
    const [child = 0, parent = 0] = line.trim().split(/\s+/).map(Number);
    children.set(parent, [...(children.get(parent) ?? []), child]);
  }
  const below = (one: number): number[] => (children.get(one) ?? []).flatMap((child) => [child, ...below(child)]);
  return below(pid).filter(isAlive);
}

const isAlive = (pid: number): boolean => {
  const state = Bun.spawnSync(["ps", "-o", "stat=", "-p", `${pid}`])
    .stdout.toString()
    .trim();
  return state !== "" && !state.startsWith("Z");
};

/** Waits until none of `pids` runs any more; the test's own time limit ends the wait. */
export async function gone(pids: readonly number[]): Promise<void> {
  while (pids.some(isAlive)) await Bun.sleep(50);
}
