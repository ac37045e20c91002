/** Orphans: processes that a dead server has left behind, found by the process folders in its state folder. */
import { markedFolders, removeMarkedFolder } from "../marked-folder.ts";
import { findMarked, killMarked, markOf } from "../process-mark.ts";

/** Between two searches for orphans, in ms. */
const SEARCH_EVERY_MS = 100;

/**
 * Waits until the orphans have exited by themselves, as `claude` does when its terminal closes.
 * @param timeoutMs how long to wait at most
 */
export async function waitForOrphans(runFolder: string, timeoutMs: number): Promise<void> {
  const marks = markedFolders(runFolder).map(markOf);
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline && marks.some((mark) => findMarked(mark).length > 0)) {
    await Bun.sleep(SEARCH_EVERY_MS);
  }
}

/** Kills all processes that have a process folder. The folders stay, since their server may run. */
export function killProcesses(runFolder: string): void {
  for (const folder of markedFolders(runFolder)) killMarked(markOf(folder));
}

/** Kills the orphans and removes their process folders. Only the holder of the state folder's lock may call this. */
export function killOrphans(runFolder: string): void {
  for (const folder of markedFolders(runFolder)) {
    killMarked(markOf(folder));
    removeMarkedFolder(folder);
  }
}
