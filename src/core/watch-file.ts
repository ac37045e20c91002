/** Tells of changes to a file, or to the files in a folder. */
import { type FSWatcher, watch } from "node:fs";

/** Bun drops a change that follows another within a millisecond; one more look after this sees it. */
const LOOK_AGAIN_MS = 10;
/** Where the system has no more watches to give (EMFILE, ENOSPC), everything is looked at this often. */
const POLL_MS = 50;

export interface Watch {
  close(): void;
}

/**
 * Calls `onChange` after every change of `path`, and once more a little later.
 * @param path a file or folder that exists
 * @param onChange gets the name of the file that has changed, null when it may be any
 */
export function watchChanges(path: string, onChange: (file: string | null) => void): Watch {
  const again = new Map<string | null, Timer>();
  let poll: Timer | undefined;
  let watcher: FSWatcher | undefined;
  const fallBack = () => {
    poll ??= setInterval(() => onChange(null), POLL_MS);
  };
  try {
    watcher = watch(path, (_event, file) => {
      clearTimeout(again.get(file));
      again.set(
        file,
        setTimeout(() => {
          again.delete(file);
          onChange(file);
        }, LOOK_AGAIN_MS),
      );
      onChange(file);
    });
    watcher.on("error", fallBack);
  } catch {
    // Whatever the system's reason, looking every now and then always works.
    fallBack();
  }
  return {
    close: () => {
      for (const timer of again.values()) clearTimeout(timer);
      clearInterval(poll);
      watcher?.close();
    },
  };
}
