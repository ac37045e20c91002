/**
 * Claude Code's `--debug-file`. It is the only place that says whether Claude Code listens to our channel, and that it
 * retries a failed model request. A message that is sent before the channel is registered is lost silently.
 */
import { closeSync, fstatSync, ftruncateSync, readSync } from "node:fs";
import { getLogger } from "@logtape/logtape";
import { openRegularFile } from "../../core/regular-file.ts";
import { watchChanges } from "../../core/watch-file.ts";
import type { ApiActivity } from "../agent-process.ts";

const log = getLogger(["synthesis", "process"]);

/** Claude Code writes to the file for as long as it runs. A file larger than this is emptied. */
const MAX_BYTES = 4 * 1024 * 1024;

/** Why Claude Code refuses a channel: see the advice in `boot.ts`. */
export type ChannelRefusal = "unavailable" | "provider" | "not_allowed" | "other";

export type ChannelState =
  | { readonly registered: true }
  /** `text` is Claude Code's own reason. */
  | { readonly registered: false; readonly refusal: ChannelRefusal; readonly text: string };

export interface DebugLog {
  /** Reads what is new, in case a change was not reported. */
  check(): void;
  close(): void;
}

/** Reads a line about a model request. @returns null for other lines, and for requests outside the conversation */
export function readApiActivity(line: string): ApiActivity | null {
  if (/\[API REQUEST\] \S+ source=repl_main_thread/.test(line)) return { what: "requested" };
  if (line.includes("Stream started - received first chunk")) return { what: "answered" };
  if (line.includes("Error streaming, falling back to non-streaming mode")) return { what: "broken_off" };
  const failed = /API error \(attempt \d+\/\d+\): (?:(\d{3})\b )?(?:\d{3} )?(.*)/.exec(line);
  if (!failed) return null;
  const [, status, text = ""] = failed;
  return {
    what: "failed",
    status: status === undefined ? null : Number(status),
    message: /"message":"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? "",
  };
}

/** Reads a line about the channel. @returns null for other lines */
export function readChannelState(line: string): ChannelState | null {
  const found = /Channel notifications (?:(registered)|skipped: (.*))$/.exec(line);
  if (!found) return null;
  const [, registered, text = ""] = found;
  return registered ? { registered: true } : { registered: false, refusal: refusalOf(text), text };
}

function refusalOf(text: string): ChannelRefusal {
  if (/not currently available/.test(text)) return "unavailable";
  if (/third-party/.test(text)) return "provider";
  return /org policy|allowlist|channels list/.test(text) ? "not_allowed" : "other";
}

/**
 * Watches `file`, which must exist.
 * @param onChannel called once, when Claude Code has registered or refused the channel
 * @param onApi called with each line about a model request
 */
export function watchDebugLog(
  file: string,
  onChannel: (state: ChannelState) => void,
  onApi: (activity: ApiActivity) => void,
): DebugLog {
  let offset = 0;
  let rest = "";
  let isChannelKnown = false;

  const readNew = () => {
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
      const activity = readApiActivity(line);
      if (activity) onApi(activity);
      const channel = isChannelKnown ? null : readChannelState(line);
      if (!channel) continue;
      isChannelKnown = true;
      onChannel(channel);
    }
  };

  const check = () => {
    try {
      readNew();
    } catch (error) {
      // The file was removed or replaced, or no descriptor is left. A process that is starting then runs into its
      // deadline; a process that is ready does not need the file.
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      log.warning("debug log of claude was not readable: {error}", { file, error });
    }
  };

  const watcher = watchChanges(file, check);
  check();
  return { check, close: () => watcher.close() };
}
