/**
 * claude's `--debug-file`: the only place where it says whether it listens to our channel. A message
 * pushed before that is lost without a word.
 */
import { closeSync, fstatSync, openSync, readSync, truncateSync } from "node:fs";
import { getLogger } from "@logtape/logtape";
import { watchChanges } from "./watch.ts";

const log = getLogger(["synthesis", "process"]);

/** claude goes on writing for as long as it lives; past this size the file is emptied. */
const MAX_BYTES = 4 * 1024 * 1024;

export type ChannelState = { registered: true } | { registered: false; why: string };

export interface DebugLog {
  /** Reads what is new, for when a change was not announced. */
  check(): void;
  close(): void;
}

/**
 * Watches `file`, which must exist.
 * @param onChannel told once, when claude has taken or refused the channel
 */
export function watchDebugLog(file: string, onChannel: (state: ChannelState) => void): DebugLog {
  let offset = 0;
  let rest = "";
  let known = false;

  const look = () => {
    const fd = openSync(file, "r");
    try {
      const { size } = fstatSync(fd);
      if (size > MAX_BYTES) {
        truncateSync(file);
        offset = 0;
        return;
      }
      if (known || size <= offset) return;
      const bytes = Buffer.alloc(size - offset);
      offset += readSync(fd, bytes, 0, bytes.length, offset);
      rest += bytes.toString("utf8");
    } finally {
      closeSync(fd);
    }
    const line = /Channel notifications (?:(registered)|skipped: (.*))\n/.exec(rest);
    if (line) {
      known = true;
      rest = "";
      onChannel(line[1] ? { registered: true } : { registered: false, why: line[2] ?? "" });
    } else rest = rest.slice(rest.lastIndexOf("\n") + 1);
  };

  const check = () => {
    try {
      look();
    } catch (error) {
      // Somebody has removed it, or no descriptor is left. A claude that is starting has its deadline; others need it not.
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      log.warning("claude's debug log is not readable: {error}", { file, error });
    }
  };

  const watcher = watchChanges(file, check);
  check();
  return { check, close: () => watcher.close() };
}
