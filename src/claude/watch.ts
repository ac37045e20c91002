/** Tells of changes to a file, or of files in a folder. */
import { watch } from "node:fs";

/** Bun drops a change that follows another within a millisecond; one more look after this sees it. */
const LOOK_AGAIN_MS = 10;

export interface Watch {
  close(): void;
}

/**
 * Calls `onChange` after every change of `path`, and possibly more often.
 * @param path a file or folder that exists
 * @param only of a folder: the one file in it that matters
 */
export function watchChanges(path: string, onChange: () => void, only?: string): Watch {
  let again: Timer | undefined;
  const watcher = watch(path, (_event, file) => {
    if (only !== undefined && file !== null && file !== only) return;
    clearTimeout(again);
    again = setTimeout(onChange, LOOK_AGAIN_MS);
    onChange();
  });
  return {
    close: () => {
      clearTimeout(again);
      watcher.close();
    },
  };
}
