/** Tells of changes to a file, or to the files in a folder. */
import { watch } from "node:fs";

/** Bun drops a change that follows another within a millisecond; one more look after this sees it. */
const LOOK_AGAIN_MS = 10;

export interface Watch {
  close(): void;
}

/**
 * Calls `onChange` after every change of `path`, and once more a little later.
 * @param path a file or folder that exists
 * @param onChange gets the name of the file that has changed
 */
export function watchChanges(path: string, onChange: (file: string) => void): Watch {
  const again = new Map<string, Timer>();
  const watcher = watch(path, (_event, file) => {
    if (file === null) return;
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
  return {
    close: () => {
      for (const timer of again.values()) clearTimeout(timer);
      watcher.close();
    },
  };
}
