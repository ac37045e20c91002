/** Watches a file, or the files in a folder, for changes. */
import { type FSWatcher, watch } from "node:fs";

/** Bun does not report a change within a millisecond of another one. A second call after this time covers it. */
const REPEAT_MS = 10;
/** The interval of polling, used when the system has no watches left (EMFILE, ENOSPC). */
const POLL_MS = 50;

export interface Watch {
  close(): void;
}

/**
 * Calls `onChange` after each change of `path`, and once more a little later.
 * @param path an existing file or folder
 * @param onChange receives the name of the changed file; null if it is unknown
 */
export function watchChanges(path: string, onChange: (file: string | null) => void): Watch {
  const repeats = new Map<string | null, Timer>();
  let poll: Timer | undefined;
  let watcher: FSWatcher | undefined;
  const startPolling = () => {
    poll ??= setInterval(() => onChange(null), POLL_MS);
  };
  try {
    watcher = watch(path, (_event, file) => {
      clearTimeout(repeats.get(file));
      repeats.set(
        file,
        setTimeout(() => {
          repeats.delete(file);
          onChange(file);
        }, REPEAT_MS),
      );
      onChange(file);
    });
    watcher.on("error", startPolling);
  } catch {
    // Polling works in every case.
    startPolling();
  }
  return {
    close: () => {
      for (const timer of repeats.values()) clearTimeout(timer);
      clearInterval(poll);
      watcher?.close();
    },
  };
}
