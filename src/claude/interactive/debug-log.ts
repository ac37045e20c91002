/**
 * claude's `--debug-file`: the only place where it says whether it listens to our channel, and that it makes a failed
 * model request again. A message pushed before it listens is lost without a word.
 */
import { closeSync, fstatSync, ftruncateSync, readSync } from "node:fs";
import { getLogger } from "@logtape/logtape";
import { openRegularFile } from "../../core/regular-file.ts";
import { watchChanges } from "../../core/watch-file.ts";

const log = getLogger(["synthesis", "process"]);

/** claude goes on writing for as long as it lives; past this size the file is emptied. */
const MAX_BYTES = 4 * 1024 * 1024;

export type ChannelState = { registered: true } | { registered: false; why: string };

/** How a model request of the conversation's goes: made, answered, or failed; after a failure claude waits, and makes it again. */
export type ApiActivity =
  | { readonly what: "requested" | "answered" }
  | { readonly what: "failed"; readonly status: number | null; readonly message: string };

export interface DebugLog {
  /** Reads what is new, for when a change was not announced. */
  check(): void;
  close(): void;
}

/** Reads a line about a model request; null when it is about something else, or about a request beside the conversation. */
export function readApiActivity(line: string): ApiActivity | null {
  if (/\[API REQUEST\] \S+ source=repl_main_thread/.test(line)) return { what: "requested" };
  if (line.includes("Stream started - received first chunk")) return { what: "answered" };
  const failed = /API error \(attempt \d+\/\d+\): (?:(\d{3})\b )?(?:\d{3} )?(.*)/.exec(line);
  if (!failed) return null;
  const [, status, said = ""] = failed;
  return {
    what: "failed",
    status: status === undefined ? null : Number(status),
    message: /"message":"((?:[^"\\]|\\.)*)"/.exec(said)?.[1] ?? "",
  };
}

/**
 * Watches `file`, which must exist.
 * @param onChannel called once, when claude has taken or refused the channel
 * @param onApi called with each line about a model request
 */
export function watchDebugLog(
  file: string,
  onChannel: (state: ChannelState) => void,
  onApi: (sign: ApiActivity) => void,
): DebugLog {
  let offset = 0;
  let rest = "";
  let known = false;

  const look = () => {
    const fd = openRegularFile(file, { mode: "r+" });
    try {
      const { size } = fstatSync(fd);
      if (size > MAX_BYTES) {
        ftruncateSync(fd);
        offset = 0;
        return;
      }
      if (size <= offset) return;
      const bytes = Buffer.alloc(size - offset);
      offset += readSync(fd, bytes, 0, bytes.length, offset);
      rest += bytes.toString("utf8");
    } finally {
      closeSync(fd);
    }
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const channel = known ? null : /Channel notifications (?:(registered)|skipped: (.*))$/.exec(line);
      const sign = readApiActivity(line);
      if (sign) onApi(sign);
      if (!channel) continue;
      known = true;
      onChannel(channel[1] ? { registered: true } : { registered: false, why: channel[2] ?? "" });
    }
  };

  const check = () => {
    try {
      look();
    } catch (error) {
      // It was removed or replaced, or no descriptor is left. A claude that is starting has its deadline; others need it not.
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      log.warning("claude's debug log is not readable: {error}", { file, error });
    }
  };

  const watcher = watchChanges(file, check);
  check();
  return { check, close: () => watcher.close() };
}
